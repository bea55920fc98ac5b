"""The HTTP session: credentials, cookies and the CSRF token, in one place.

Sources: the API guide's pages CSRFProtection and SecuredConnectionsSAMLHTCCFlow.
"""

from __future__ import annotations

import asyncio

from history_pipeline.errors import (
    Interrupted,
    LoginRefused,
    NotAServer,
    PipelineError,
    ServerFault,
    SessionLost,
)
from history_pipeline.gws import wire
from history_pipeline.gws.transport import Transport
from history_pipeline.gws.wire import Reply

HTTP_TIMEOUT = 30.0
"""Seconds for one HTTP reply; a connect is held longer, by what the server says."""


class Login:
    """Sends requests with what the login has brought. `age` rises with every login."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._get_headers = {"Accept": "application/json"}
        self._post_headers = {**self._get_headers, "Content-Type": "application/json"}
        self._csrf: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self.age = 0

    @property
    def is_guarded(self) -> bool:
        """Whether the last login brought a CSRF token."""
        return bool(self._csrf)

    async def send(
        self, method: str, path: str, body: bytes | None, timeout: float = HTTP_TIMEOUT
    ) -> Reply:
        headers = self._get_headers if body is None else self._post_headers | self._csrf
        return await self._transport.send(method, path, headers, body, timeout)

    async def log_in(self) -> None:
        """GET /me: proves the credentials and brings the CSRF token."""
        async with self._lock:
            await self._log_in()

    async def mend(self, age: int) -> bool:
        """Logs in again, once for all who noticed at this `age` that the session is lost. Returns
        whether the HTTP session is another one now."""
        async with self._lock:
            if self.age != age:
                return False
            before = self._transport.cookie("JSESSIONID")
            await self._log_in()
            return self._transport.cookie("JSESSIONID") != before

    async def _log_in(self) -> None:
        reply = await self.send("GET", wire.ME_PATH, None)
        try:
            wire.read_envelope(reply)
        except SessionLost as exc:
            raise _refused(reply, exc) from exc
        except Interrupted:
            raise
        except ServerFault as exc:
            if reply.status < 500 and not reply.body.lstrip().startswith(b"{"):
                raise NotAServer(f"{wire.ME_PATH} does not answer as a GWS does") from exc
            raise
        except PipelineError as exc:
            raise NotAServer(
                f"{wire.ME_PATH} answers {exc}: this is no GWS, or not its base URL; check GWS_URL"
            ) from exc
        name = reply.headers.get("x-csrf-header")
        token = reply.headers.get("x-csrf-token")
        self._csrf = {name: token} if name and token else {}
        self.age += 1


def _refused(reply: Reply, exc: SessionLost) -> PipelineError:
    if reply.is_html and reply.status == 200:
        return NotAServer("the URL answers with an HTML page, not as a GWS; check GWS_URL")
    return LoginRefused(
        f"the server refused the login ({exc}); check GWS_USERNAME, GWS_PASSWORD and "
        "GWS_BASIC_ENCODING"
    )
