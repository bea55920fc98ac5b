"""The way between client and server, in memory: it takes time, and loses things.

A `Transport` for the client, with the server's `handle` at its other end. Knows cookies, delays,
and what is in flight. Does not know what a reply means, but for reference ids.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, cast

import msgspec
from aiohttp import HttpVersion, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL

from history_pipeline.errors import DeadlineExceeded, ServerFault, Unreachable
from history_pipeline.gws.wire import Reply
from history_pipeline.simulator.draws import key_number, keyed
from history_pipeline.simulator.paths import NOTIFICATIONS_PATH
from history_pipeline.simulator.server import Handler
from history_pipeline_tests.chaos.histories import History

_REFERENCE_ID = re.compile(rb'"referenceId":"?(\d+)')
_SLOWEST = 0.004
Thing = tuple[str, bytes]
"""What a history request asks: its path and its body."""


@dataclass(slots=True)
class Spent:
    """What can cost attempts: for each request what befell it alone, and for all of them what
    befell the channel or the clock."""

    alone: Counter[int] = field(default_factory=Counter)
    all: int = 0


def identity(path: str, body: bytes) -> int:
    """The number under which the simulator knows what a history request asks."""
    return key_number("history", path, body)


class Network:
    """One client's connection. `wall` is the server's clock, in seconds since 1970; `running` sends
    come to nothing while `frozen_until` or `down_until` are ahead."""

    def __init__(
        self,
        history: History,
        handle: Handler,
        authorization: str,
        wall: Callable[[], float],
        spent: Spent,
    ) -> None:
        self._history = history
        self._handle = handle
        self._authorization = authorization
        self._wall = wall
        self._spent = spent
        self._lost = dict(history.lost)
        self._cookies: dict[str, str] = {}
        self._sent = 0
        self._at_the_server: set[asyncio.Task[Reply | None]] = set()
        self.frozen_until = self.down_until = 0.0
        self.flight = Flight(history.deadline)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Reply:
        self._sent += 1
        fate = self._fate(path)
        if fate and fate != "refused":
            self._note(path, body)
        asks = body is not None and path.endswith("/interactions")
        asked = self.flight.asked(path, body) if asks and body else None
        reply: Reply | None = None
        try:
            async with asyncio.timeout(timeout):
                reply = await self._carried(method, path, headers, body, fate)
        except TimeoutError:
            if not fate:
                self._note(path, body)  # it was frozen, or the server holds it
            raise DeadlineExceeded(f"no HTTP reply within {timeout:g} s") from None
        finally:
            if asked is not None:
                self.flight.replied(asked, reply)
        if reply is None:
            raise ServerFault("the reply did not arrive whole (lost on its way)")
        if path.startswith(NOTIFICATIONS_PATH):
            self.flight.heard(reply.body)
        return reply

    async def __aenter__(self) -> Network:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def cookie(self, name: str) -> str | None:
        return self._cookies.get(name)

    async def close(self) -> None:
        """What is still at the server ends there."""
        for task in self._at_the_server:
            task.cancel()
        await asyncio.gather(*self._at_the_server, return_exceptions=True)

    @property
    def at_the_server(self) -> set[asyncio.Task[Reply | None]]:
        return self._at_the_server

    # -- one call -----------------------------------------------------------------------------

    async def _carried(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, fate: str
    ) -> Reply | None:
        """There and back. None for a reply that does not arrive whole."""
        draw = keyed("network", self._history.seed, self._sent)
        there, back = draw.random() * _SLOWEST, draw.random() * _SLOWEST
        if fate == "refused" or self.down_until > asyncio.get_running_loop().time():
            await asyncio.sleep(there)
            raise Unreachable("no connection: refused")
        await self._pass(there)
        if fate == "request lost":
            await asyncio.Event().wait()
        request = self._request(method, path, headers, body)
        # the server goes on with it, also where the client gives it up
        task = asyncio.create_task(self._served(request), name="server")
        self._at_the_server.add(task)
        task.add_done_callback(self._at_the_server.discard)
        reply = await asyncio.shield(task)
        await self._pass(back)
        if fate == "reply lost":
            await asyncio.Event().wait()
        return None if fate == "reply cut" else reply

    async def _pass(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(seconds, self.frozen_until - loop.time()))

    def _fate(self, path: str) -> str:
        where = "polls" if path.startswith(NOTIFICATIONS_PATH) else "history"
        if self._history.lost_at in (where, "anywhere"):
            draw = keyed("lost", self._history.seed, self._sent)
            for name, share in self._lost.items():
                if draw.random() < share:
                    return name
        return ""

    def _note(self, path: str, body: bytes | None) -> None:
        if path.endswith("/interactions") and body is not None:
            self._spent.alone[identity(path, body)] += 1
        else:
            self._spent.all += 1

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> _Request:
        told = CIMultiDict({**headers, "Authorization": self._authorization})
        if self._cookies:
            told["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return _Request(method, URL(path, encoded=True), told, body or b"")

    async def _served(self, request: _Request) -> Reply | None:
        response = await self._handle(cast(web.BaseRequest, request))
        if request.transport.is_over or not isinstance(response, web.Response):
            return None
        for name, morsel in response.cookies.items():
            self._cookies[name] = morsel.value
        moment = datetime.fromtimestamp(self._wall(), UTC)
        headers = {name.lower(): value for name, value in response.headers.items()}
        headers["date"] = format_datetime(moment, usegmt=True)
        content = response.body if isinstance(response.body, bytes) else b""
        return Reply(response.status, headers, content)


class Flight:
    """How many history requests are in flight, by what the client can know: from their sending to
    their notification, or until they are given up, with their reply, their epoch or their deadline.
    A question that is asked again while it is awaited, as a canary is, counts once."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._open: dict[int, Thing] = {}
        self._by_reference_id: dict[str, int] = {}
        self._early: dict[str, int] = {}
        self._asked = 0
        self.most = 0

    def asked(self, path: str, body: bytes) -> int:
        self._asked += 1
        self._open[self._asked] = path, body
        self.most = max(self.most, len(set(self._open.values())))
        return self._asked

    def replied(self, asked: int, reply: Reply | None) -> None:
        reference_id = _accepted(reply)
        if reference_id is None or self._early.get(reference_id, 0) >= asked:
            self._open.pop(asked, None)
            return
        self._by_reference_id[reference_id] = asked
        loop = asyncio.get_running_loop()
        loop.call_later(self._deadline, self._open.pop, asked, None)

    def heard(self, body: bytes) -> None:
        if b'"/meta/handshake"' in body:
            self._open.clear()
            self._by_reference_id.clear()
            self._early.clear()
            return
        for reference_id in map(bytes.decode, _REFERENCE_ID.findall(body)):
            asked = self._by_reference_id.pop(reference_id, None)
            if asked is None:
                self._early[reference_id] = self._asked
            else:
                self._open.pop(asked, None)


def _accepted(reply: Reply | None) -> str | None:
    """The reference id of a request that was accepted."""
    if reply is None or reply.status != 200:
        return None
    try:
        told = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    found = told.get("referenceId") if isinstance(told, dict) else None
    return None if found is None else str(found)


# -- what the server sees of a call ----------------------------------------------------------------


class _Connection:
    """What a server can do to a connection: end it."""

    def __init__(self) -> None:
        self.is_over = False

    def get_extra_info(self, name: str) -> None:
        return None

    def abort(self) -> None:
        self.is_over = True

    close = abort


class _Nowhere(AbstractStreamWriter):
    """Takes a reply that does not arrive whole."""

    async def write(self, chunk: Any) -> None: ...

    async def write_eof(self, chunk: bytes = b"") -> None: ...

    async def drain(self) -> None: ...

    def enable_compression(self, *args: Any, **kwargs: Any) -> None: ...

    def enable_chunking(self) -> None: ...

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None: ...


@dataclass(eq=False)
class _Request:
    """As much of aiohttp's request as the simulator and aiohttp's responses look at."""

    method: str
    rel_url: URL
    headers: CIMultiDict[str]
    body: bytes
    transport: _Connection = field(default_factory=_Connection)
    keep_alive: bool = True
    version: HttpVersion = HttpVersion11

    def __post_init__(self) -> None:
        self._payload_writer = _Nowhere()

    @property
    def query(self) -> Any:
        return self.rel_url.query

    async def read(self) -> bytes:
        return self.body

    async def _prepare_hook(self, response: web.StreamResponse) -> None: ...
