"""The HTTP face: login, CSRF, and the way from a path to its answer.

Knows aiohttp, cookies, headers and statuses. Leaves what Bayeux means to `bayeux_server`,
what history means to `history_calls`, and what goes wrong to `faults`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from history_pipeline.simulator.answers import encode
from history_pipeline.simulator.bayeux_client import Held
from history_pipeline.simulator.bayeux_server import BayeuxServer, Part, Turn
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.faults import Call, Faults
from history_pipeline.simulator.history_calls import HistoryCalls
from history_pipeline.simulator.history_query import NOT_AUTHENTICATED, NOT_FOUND, Refused
from history_pipeline.simulator.http_sessions import (
    CSRF_HEADER,
    SESSION_COOKIE,
    HttpSession,
    HttpSessions,
    cookie,
)
from history_pipeline.simulator.pages import OPEN_PATHS, Pages
from history_pipeline.simulator.stats import Stats

JSON = "application/json"
CONTACTS_PREFIX, HISTORY_SUFFIX = "/api/v2/ucs/contacts/", "/interactions"
INTERACTIONS_PATH = "/api/v2/ucs/interactions"
NOTIFICATIONS_PATH = "/api/v2/notifications"
STATS_PATH = "/simulator/stats"
BROWSER_COOKIE = "BAYEUX_BROWSER"
CSRF_REFUSED = "Missing or invalid Csrf token"
_JSON_HEADERS = {"Content-Type": JSON}
_LOGIN_PAGE = "<html><body>Please log in</body></html>"


@dataclass(slots=True, eq=False)
class Gateway:
    """Answers every request of the server; `handle` is the handler for aiohttp."""

    behaviour: Behaviour
    faults: Faults
    sessions: HttpSessions
    bayeux: BayeuxServer
    calls: HistoryCalls
    pages: Pages
    stats: Stats
    _ordinal: int = 0
    _browsers: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path == STATS_PATH:
            return _json(self.stats.snapshot())
        self._ordinal += 1
        call = Call(self._ordinal, request.method, path)
        interference = self.faults.before_call(call)
        if interference is not None:
            if interference.cut:
                return _cut(request)
            self.stats.rejected[interference.status] += 1
            return web.Response(
                status=interference.status,
                body=interference.body,
                headers=interference.headers,
            )
        response = await self._in_session(request, call)
        if response.status >= 400 and not (request.transport and request.transport.is_closing()):
            self.stats.rejected[response.status] += 1
        return response

    async def _in_session(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Finds or opens the session, then answers; a new session's cookie goes out."""
        now = asyncio.get_running_loop().time()
        cookies = request.headers.get("Cookie")
        session = self.sessions.find(cookie(cookies, SESSION_COOKIE), now)
        writing = call.method in ("POST", "PUT", "DELETE")
        if writing and self.behaviour.csrf:
            token = request.headers.get(CSRF_HEADER)
            if session is None or token != session.csrf_token:
                return web.Response(status=403, text=CSRF_REFUSED)
        authorization = request.headers.get("Authorization")
        if authorization is not None and not self.sessions.credentials_are_right(authorization):
            return self._login_refused()
        opened = session is None
        if session is None:
            session = self.sessions.open(now)
            self.stats.http_sessions += 1
        if authorization is not None:
            session.logged_in = True
        response = await self._timed(request, call, session, cookies)
        if opened:
            response.set_cookie(SESSION_COOKIE, session.session_id, path="/", httponly=True)
        if self.behaviour.csrf and not writing:
            response.headers["X-CSRF-HEADER"] = CSRF_HEADER
            response.headers["X-CSRF-TOKEN"] = session.csrf_token
        return response

    async def _timed(
        self, request: web.BaseRequest, call: Call, session: HttpSession, cookies: str | None
    ) -> web.StreamResponse:
        """Keeps the session alive while the call lasts, and from its end."""
        is_poll = call.path.startswith(NOTIFICATIONS_PATH)
        keeps = self.behaviour.polls_keep_session or not is_poll
        session.busy += keeps
        try:
            if is_poll:
                return await self._notifications(request, call, session, cookies)
            return await self._answer(request, call, session)
        except Refused as refused:
            return self._refusal(refused)
        finally:
            if keeps:
                session.busy -= 1
                session.last_used = asyncio.get_running_loop().time()

    async def _answer(
        self, request: web.BaseRequest, call: Call, session: HttpSession
    ) -> web.StreamResponse:
        path = call.path
        if not session.logged_in and path not in OPEN_PATHS:
            return self._login_refused()
        if call.method == "GET":
            self.stats.operations[f"GET {path}"] += 1
            return _json(self.pages.read(path, request.query))
        if call.method != "POST":
            raise Refused(NOT_FOUND, "resource not found")
        contact_id: str | None = None
        if path.startswith(CONTACTS_PREFIX) and path.endswith(HISTORY_SUFFIX):
            contact_id = path[len(CONTACTS_PREFIX) : -len(HISTORY_SUFFIX)]
        elif path != INTERACTIONS_PATH:
            raise Refused(NOT_FOUND, "resource not found")
        body = await request.read()
        told = await self.calls.ask(call, body, contact_id, session.session_id)
        return web.Response(body=told, headers=_JSON_HEADERS)

    async def _notifications(
        self, request: web.BaseRequest, call: Call, session: HttpSession, cookies: str | None
    ) -> web.StreamResponse:
        rest = call.path[len(NOTIFICATIONS_PATH) :]
        if call.method != "POST" or (rest and not rest.startswith("/")):
            raise Refused(NOT_FOUND, "resource not found")
        try:
            messages: Any = msgspec.json.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError):
            return web.Response(status=400, text="the body is no JSON")
        owner = session.session_id if session.logged_in else None
        listed = messages if isinstance(messages, list) else [messages]
        loop = asyncio.get_running_loop()
        turn = self.bayeux.receive(listed, owner, loop.time())
        handshaken = self._count(listed, turn)
        if turn.held is not None:
            turn.parts += await self._held(turn.held)
        body = self.faults.poll_reply(call, assembled(turn.parts))
        if body is None:
            return _cut(request)
        response = web.Response(body=body, headers=_JSON_HEADERS)
        if handshaken and cookie(cookies, BROWSER_COOKIE) is None:
            self._browsers += 1
            response.set_cookie(BROWSER_COOKIE, f"browser{self._browsers}", path="/", httponly=True)
        return response

    async def _held(self, held: Held) -> list[Part]:
        """Waits for messages, the poll's time or its end by other means."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        held.wake = woken.set
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(held.until):
                await woken.wait()
        return self.bayeux.finish(held, loop.time())

    def _count(self, messages: list[Any], turn: Turn) -> bool:
        """Counts the meta channels called; was there a handshake that succeeded?"""
        handshaken = False
        for message in messages:
            if isinstance(message, dict):
                self.stats.operations[str(message.get("channel"))] += 1
        for part in turn.parts:
            if isinstance(part, dict) and part.get("channel") == "/meta/handshake":
                self.stats.handshakes += 1
                handshaken = handshaken or bool(part["successful"])
        self.stats.cometd_sessions += handshaken
        return handshaken

    def _login_refused(self) -> web.Response:
        """A GWS that does not know the caller has more than one way to say so (guide, 2.1)."""
        manner = self.behaviour.login_refusal
        if manner == "redirect":
            return web.Response(status=302, headers={"Location": "/saml/login"})
        if manner == "html":
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        told = {"statusCode": NOT_AUTHENTICATED, "statusMessage": "not authenticated"}
        return _json(told, status=200 if manner == "statuscode" else int(manner))

    def _refusal(self, refused: Refused) -> web.Response:
        self.stats.refusals[refused.status_code] += 1
        status = 404 if refused.status_code == NOT_FOUND else 400
        if not self.behaviour.errors_as_http and status != 404:
            status = 200
        told = {"statusCode": refused.status_code, "statusMessage": refused.message}
        return _json(told, status=status)


def assembled(parts: list[Part]) -> bytes:
    """One JSON array; data messages are text already and are not parsed again."""
    return b"[" + b",".join(p if isinstance(p, bytes) else encode(p) for p in parts) + b"]"


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=encode(value), headers=_JSON_HEADERS)


def _cut(request: web.BaseRequest) -> web.Response:
    """Ends the connection; the response that aiohttp wants goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
