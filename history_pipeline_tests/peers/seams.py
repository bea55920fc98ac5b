"""Networks that fail in one chosen way, between our client and a foreign server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from history_pipeline.bayeux.messages import CONNECT, SUBSCRIBE
from history_pipeline.errors import ServerFault
from history_pipeline.gws.transport import Transport
from history_pipeline.gws.wire import Reply

TOPIC = b"/v2/ucs/interactions"
BUFFER = 65536

Send = Callable[[], Awaitable[Reply]]
Act = Callable[[Send], Awaitable[Reply]]


class Leaving:
    """A transport that leaves each Bayeux message on `channel` to `act`; all else passes."""

    def __init__(self, inner: Transport, channel: str, act: Act) -> None:
        self._inner = inner
        self._mark = f'"{channel}"'.encode()
        self._act = act

    async def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
    ) -> Reply:
        async def send() -> Reply:
            return await self._inner.send(method, path, headers, body, timeout)

        return await (self._act(send) if body is not None and self._mark in body else send())

    def cookie(self, name: str) -> str | None:
        return self._inner.cookie(name)


def connects_to(act: Act) -> Callable[[Transport], Transport]:
    """Wraps a transport so that its connects, the heartbeat, go through `act`."""
    return lambda inner: Leaving(inner, CONNECT, act)


def subscriptions_to(act: Act) -> Callable[[Transport], Transport]:
    return lambda inner: Leaving(inner, SUBSCRIBE, act)


class Loses:
    """Discards `count` replies that carry notifications, whole, after they were received."""

    def __init__(self, count: int) -> None:
        self.left = count

    async def __call__(self, send: Send) -> Reply:
        reply = await send()
        if self.left and TOPIC in reply.body:
            self.left -= 1
            raise ServerFault("the reply was lost on the way")
        return reply


class GivesUpOn:
    """Gives up waiting for `count` connects once armed, as a proxy does whose read timeout is
    shorter than the server's hold. The server is not told, and holds on."""

    def __init__(self, count: int, after: float) -> None:
        self.left = count
        self.after = after
        self.armed = False

    async def __call__(self, send: Send) -> Reply:
        if not self.armed or not self.left:
            return await send()
        self.left -= 1
        try:
            async with asyncio.timeout(self.after):
                return await send()
        except TimeoutError:
            return Reply(504, {"content-type": "text/html"}, b"<html>")


class HoldsBack:
    """Once armed, keeps the next connect from the server for `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.armed = False

    async def __call__(self, send: Send) -> Reply:
        if self.armed:
            self.armed = False
            await asyncio.sleep(self.seconds)
        return await send()


class CuttingProxy:
    """Passes bytes; while `cuts` are left, closes a connection in the middle of the piece in
    which notifications come back."""

    def __init__(self, url: str, cuts: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self.cuts = cuts
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        open_now: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            open_now.add(task)
            with suppress(OSError, asyncio.CancelledError):
                await self._pass(reader, writer)
            writer.close()
            open_now.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            for task in open_now:
                task.cancel()
            if open_now:
                await asyncio.wait(open_now)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        onward = asyncio.create_task(_copy(reader, there_writer))
        try:
            while piece := await there_reader.read(BUFFER):
                if self.cuts and TOPIC in piece:
                    self.cuts -= 1
                    writer.write(piece[: piece.index(TOPIC) + len(TOPIC)])
                    await writer.drain()
                    return
                writer.write(piece)
                await writer.drain()
        finally:
            onward.cancel()
            there_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(BUFFER):
            writer.write(piece)
            await writer.drain()
        writer.close()
