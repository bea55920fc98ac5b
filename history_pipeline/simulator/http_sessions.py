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
from history_pipeline.simulator.endings import DROPPED, EXPIRED

SESSION_COOKIE = "JSESSIONID"
CSRF_HEADER = "X-CSRF-TOKEN"


@dataclass(slots=True, eq=False)
class HttpSession:
    """`busy` counts the calls under way; a session is not idle while it has any.

    `served` counts the calls it was found for, CometD's not among them.
    """

    session_id: str
    csrf_token: str
    opened_at: float
    last_used: float
    served: int = 0
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
    """All sessions of one node.

    `over` is given a session's age and the calls it has served, and names what ends it, if
    anything. `ended` is told of each one that ends, and why.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        new_id: Callable[[], str],
        ended: Callable[[HttpSession, str], None],
        over: Callable[[float, int], str] = lambda age, served: "",
        node: str = "node1",
    ) -> None:
        self._behaviour = behaviour
        self._new_id = new_id
        self._ended = ended
        self._over = over
        self._node = node
        self._sessions: dict[str, HttpSession] = {}
        pair = f"{behaviour.username}:{behaviour.password}"
        self._credentials = pair.encode(behaviour.basic_encoding)
        self._usual_header = "Basic " + base64.b64encode(self._credentials).decode()

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, session_id: str | None, now: float) -> HttpSession | None:
        session = self._sessions.get(session_id or "")
        if session is not None and self._ended_if_over(session, now):
            return None
        return session

    def open(self, now: float) -> HttpSession:
        session = HttpSession(f"{self._new_id()}.{self._node}", self._new_id(), now, now)
        self._sessions[session.session_id] = session
        return session

    def credentials_are_right(self, authorization: str) -> bool:
        """Basic, in the encoding of this site (RFC 7617: UTF-8); anything else is wrong."""
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
        """Ends the sessions whose time is over; says how many."""
        return sum(self._ended_if_over(one, now) for one in list(self._sessions.values()))

    def drop(self) -> int:
        """Ends all sessions, as a restart of the node does."""
        doomed = list(self._sessions.values())
        for session in doomed:
            self._end(session, DROPPED)
        return len(doomed)

    def _ended_if_over(self, session: HttpSession, now: float) -> bool:
        why = self._over(now - session.opened_at, session.served)
        idle = now - session.last_used
        if not why and not session.busy and idle > self._behaviour.http_session_timeout:
            why = EXPIRED
        if why:
            self._end(session, why)
        return bool(why)

    def _end(self, session: HttpSession, why: str) -> None:
        del self._sessions[session.session_id]
        self._ended(session, why)
