"""Logins, cookies and CSRF tokens.

Knows who is behind a cookie and whether a writing call may pass. Does not know what the
calls are for.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass

from history_pipeline.simulator.behaviour import Behaviour

SESSION_COOKIE = "JSESSIONID"
CSRF_HEADER = "X-CSRF-TOKEN"


@dataclass(slots=True, eq=False)
class HttpSession:
    """`busy` counts the calls under way; a session does not expire while it has any."""

    session_id: str
    csrf_token: str
    last_used: float
    logged_in: bool = False
    busy: int = 0


def cookie(header: str | None, name: str) -> str | None:
    """The value of one cookie; parsed by hand, for this is asked on every request."""
    if header is None:
        return None
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value.strip('"')
    return None


class HttpSessions:
    """All sessions of a server. `ended` is told of each one that expires or is dropped."""

    def __init__(
        self,
        behaviour: Behaviour,
        new_id: Callable[[], str],
        ended: Callable[[HttpSession], None],
    ) -> None:
        self._behaviour = behaviour
        self._new_id = new_id
        self._ended = ended
        self._sessions: dict[str, HttpSession] = {}
        pair = f"{behaviour.username}:{behaviour.password}"
        self._credentials = pair.encode()
        self._usual_header = "Basic " + base64.b64encode(self._credentials).decode()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, session_id: str | None, now: float) -> HttpSession | None:
        session = self._sessions.get(session_id or "")
        if session is not None and self._expired(session, now):
            self._end(session)
            return None
        return session

    def open(self, now: float) -> HttpSession:
        session = HttpSession(f"{self._new_id()}.node1", self._new_id(), now)
        self._sessions[session.session_id] = session
        return session

    def credentials_are_right(self, authorization: str) -> bool:
        """Basic, in UTF-8 (RFC 7617); anything else is wrong."""
        if authorization == self._usual_header:
            return True
        scheme, _, encoded = authorization.partition(" ")
        if scheme.casefold() != "basic":
            return False
        try:
            return base64.b64decode(encoded, validate=True) == self._credentials
        except (binascii.Error, ValueError):
            return False

    def expire(self, now: float) -> int:
        overdue = [one for one in self._sessions.values() if self._expired(one, now)]
        for session in overdue:
            self._end(session)
        return len(overdue)

    def drop(self) -> int:
        """Ends all sessions, as a restart of the node does."""
        doomed = list(self._sessions.values())
        for session in doomed:
            self._end(session)
        return len(doomed)

    def _expired(self, session: HttpSession, now: float) -> bool:
        idle = now - session.last_used
        return not session.busy and idle > self._behaviour.http_session_timeout

    def _end(self, session: HttpSession) -> None:
        del self._sessions[session.session_id]
        self._ended(session)
