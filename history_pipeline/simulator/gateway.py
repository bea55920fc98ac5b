"""The HTTP face of one node: login, CSRF, and the way from a path to its answer.

Knows aiohttp, cookies, headers and statuses. Leaves what Bayeux means to `bayeux_server`,
what history means to `history_calls`, what goes wrong to `faults`, and how a connection ends
badly to `broken_replies`.
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
from history_pipeline.simulator.broken_replies import reset, spoilt
from history_pipeline.simulator.call_identity import Identities
from history_pipeline.simulator.faults import Call, Faults, Interference
from history_pipeline.simulator.faults_http import CSRF_REFUSED
from history_pipeline.simulator.history_calls import HistoryCalls, Interfered
from history_pipeline.simulator.history_query import NOT_AUTHENTICATED, NOT_FOUND, Refused
from history_pipeline.simulator.http_sessions import (
    CSRF_HEADER,
    SESSION_COOKIE,
    HttpSession,
    HttpSessions,
    cookie,
)
from history_pipeline.simulator.pages import OPEN_PATHS, Pages
from history_pipeline.simulator.paths import (
    CONTACTS_PATH,
    INTERACTIONS_PATH,
    NOTIFICATIONS_PATH,
    STATS_PATH,
    contact_in,
)
from history_pipeline.simulator.stats import Stats

JSON = "application/json"
BROWSER_COOKIE = "BAYEUX_BROWSER"
_JSON_HEADERS = {"Content-Type": JSON}
_LOGIN_PAGE = "<html><body>Please log in</body></html>"


@dataclass(slots=True, eq=False)
class Gateway:
    """Answers every request of the node; `handle` is the handler for aiohttp."""

    behaviour: Behaviour
    faults: Faults
    identities: Identities
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
        if self.faults.identifies:
            query = request.rel_url.raw_query_string
            call = self.identities.identified(call, query, await request.read())
        interference = self.faults.before_call(call)
        if interference is None:
            response = await self._in_session(request, call)
        else:
            response = self._instead(interference)
            if interference.cut:
                return reset(request)
        if response.status >= 400:
            self.stats.rejected[response.status] += 1
        return response if interference else await self._sent(request, call, response)

    def _instead(self, interference: Interference) -> web.Response:
        self.stats.inject(interference.fault)
        return web.Response(
            status=interference.status, body=interference.body, headers=interference.headers
        )

    async def _sent(
        self, request: web.BaseRequest, call: Call, response: web.Response
    ) -> web.StreamResponse:
        """The response, or what a fault makes of it."""
        if not self.faults.identifies or not isinstance(response.body, bytes):
            return response
        spoiled = self.faults.reply(call, response.body)
        if spoiled is None:
            return response
        self.stats.inject(spoiled.fault)
        return await spoilt(request, response, spoiled)

    async def _in_session(self, request: web.BaseRequest, call: Call) -> web.Response:
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
    ) -> web.Response:
        """Keeps the session alive while the call lasts, and from its end."""
        is_poll = call.path.startswith(NOTIFICATIONS_PATH)
        keeps = self.behaviour.polls_keep_session or not is_poll
        session.busy += keeps
        session.served += not is_poll
        try:
            if is_poll:
                return await self._notifications(request, call, session, cookies)
            return await self._answer(request, call, session)
        except Refused as refused:
            return self._refusal(refused)
        except Interfered as interfered:
            return self._instead(interfered.interference)
        finally:
            if keeps:
                session.busy -= 1
                session.last_used = asyncio.get_running_loop().time()

    async def _answer(
        self, request: web.BaseRequest, call: Call, session: HttpSession
    ) -> web.Response:
        path = call.path
        if not session.logged_in and path not in OPEN_PATHS:
            return self._login_refused()
        if call.method == "GET":
            self.stats.operations[f"GET {path}"] += 1
            if path == CONTACTS_PATH:
                self.stats.listed(asyncio.get_running_loop().time())
            return _json(self.pages.read(path, request.query))
        if call.method != "POST":
            raise Refused(NOT_FOUND, "resource not found")
        contact_id = contact_in(path)
        if contact_id is None and path != INTERACTIONS_PATH:
            raise Refused(NOT_FOUND, "resource not found")
        body = await request.read()
        told = await self.calls.ask(call, body, contact_id, session.session_id)
        return web.Response(body=told, headers=_JSON_HEADERS)

    async def _notifications(
        self, request: web.BaseRequest, call: Call, session: HttpSession, cookies: str | None
    ) -> web.Response:
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
        response = web.Response(body=assembled(turn.parts), headers=_JSON_HEADERS)
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
        status = refused.http_status or status
        told = {"statusCode": refused.status_code, "statusMessage": refused.message}
        return _json(told, status=status)


def assembled(parts: list[Part]) -> bytes:
    """One JSON array; data messages are text already and are not parsed again."""
    return b"[" + b",".join(p if isinstance(p, bytes) else encode(p) for p in parts) + b"]"


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=encode(value), headers=_JSON_HEADERS)
