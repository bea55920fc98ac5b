"""A server in memory, behind the same seam as the network: what goes wrong is written down.

Speaks just enough of GWS and Bayeux for one client; answers each history question after `latency`
seconds with one record. A `Script` stands in for one reply: it is given the call and returns a
reply, or raises what a transport raises.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from history_pipeline.errors import DeadlineExceeded
from history_pipeline.gws.wire import ME_PATH, Reply

NOTIFICATIONS = "/api/v2/notifications"
CHANNEL = "/v2/ucs/interactions"
ROUND_TRIP = 0.001


@dataclass(frozen=True, slots=True)
class Call:
    """What came in: `kind` is me, handshake, subscribe, connect, disconnect or history."""

    kind: str
    at: float
    path: str
    headers: Mapping[str, str]
    body: Any


Script = Callable[[Call], "Reply | Awaitable[Reply]"]


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, {"content-type": "application/json"} | named, json.dumps(value).encode())


def replying(status: int, body: bytes = b"", **headers: str) -> Script:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda call: Reply(status, named, body)


def raising(exc: Exception) -> Script:
    def script(call: Call) -> Reply:
        raise exc

    return script


@dataclass
class ScriptedServer:
    """A Transport. `next[kind]` holds scripts, each for one call; `always[kind]` for all."""

    latency: float = 0.05
    hold: float = 30.0
    next: dict[str, deque[Script]] = field(default_factory=lambda: defaultdict(deque))
    always: dict[str, Script] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    cookies: dict[str, str] = field(default_factory=lambda: {"JSESSIONID": "s1"})
    csrf: str | None = "t1"
    client_id: str | None = None
    references: int = 0
    silent: bool = False
    """Whether notifications are swallowed."""
    _clients: int = 0
    _queue: list[dict[str, Any]] = field(default_factory=list)
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    # -- the transport ------------------------------------------------------------------------

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Reply:
        call = self._read(path, headers, body)
        self.calls.append(call)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(ROUND_TRIP)
                return await self._answer(call)
        except TimeoutError:
            raise DeadlineExceeded(f"no HTTP reply within {timeout:g} s") from None

    def cookie(self, name: str) -> str | None:
        return self.cookies.get(name)

    # -- what tests look at, and do -----------------------------------------------------------

    def of(self, kind: str) -> list[Call]:
        return [call for call in self.calls if call.kind == kind]

    def forget_client(self) -> None:
        """The CometD session is gone, and its queue with it."""
        self.client_id = None
        self._queue.clear()
        self._filled.set()

    def notify(self, reference_id: Any, **fields: Any) -> None:
        """Queues a history answer for the client."""
        if fields.keys().isdisjoint({"errorMessage", "interactions"}):
            fields["interactions"] = [{"id": f"of {reference_id}"}]
        self._queue.append(
            {
                "channel": CHANNEL,
                "data": {
                    "referenceId": reference_id,
                    "messageType": "GetInteractionsHistoryMessage",
                }
                | fields,
            }
        )
        self._filled.set()

    def notify_later(self, seconds: float, reference_id: Any, **fields: Any) -> None:
        async def later() -> None:
            client = self.client_id
            await asyncio.sleep(seconds)
            if client == self.client_id and not self.silent:
                self.notify(reference_id, **fields)

        task = asyncio.get_running_loop().create_task(later())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    def accept(self) -> tuple[int, Reply]:
        self.references += 1
        return self.references, json_reply({"statusCode": 0, "referenceId": self.references})

    # -- the server ---------------------------------------------------------------------------

    def _read(self, path: str, headers: Mapping[str, str], body: bytes | None) -> Call:
        at = asyncio.get_running_loop().time()
        if path == ME_PATH:
            return Call("me", at, path, dict(headers), None)
        content = json.loads(body or b"null")
        if path == NOTIFICATIONS:
            (message,) = content
            return Call(message["channel"].rpartition("/")[2], at, path, dict(headers), message)
        return Call("history", at, path, dict(headers), content)

    async def _answer(self, call: Call) -> Reply:
        scripted = self.next[call.kind]
        script = scripted.popleft() if scripted else self.always.get(call.kind, self.usual)
        reply = script(call)
        return reply if isinstance(reply, Reply) else await reply

    async def usual(self, call: Call) -> Reply:
        """What a server in good health does."""
        match call.kind:
            case "me":
                headers: dict[str, Any] = (
                    {"x_csrf_header": "X-Csrf", "x_csrf_token": self.csrf} if self.csrf else {}
                )
                return json_reply({"statusCode": 0, "user": {}}, **headers)
            case "handshake":
                return self._handshake(call)
            case "history":
                reference, reply = self.accept()
                self.notify_later(self.latency, reference)
                return reply
        if call.body.get("clientId") != self.client_id or self.client_id is None:
            return self._unknown_client(call)
        if call.kind == "connect" and "advice" not in call.body:
            await self._wait(call)
            if call.body.get("clientId") != self.client_id:
                return self._unknown_client(call)
        return self._meta(call, successful=True)

    def _handshake(self, call: Call) -> Reply:
        self._clients += 1
        self.client_id = f"c{self._clients}"
        self._queue.clear()
        return self._meta(
            call,
            successful=True,
            clientId=self.client_id,
            advice={"reconnect": "retry", "interval": 0, "timeout": int(self.hold * 1000)},
        )

    async def _wait(self, call: Call) -> None:
        self._filled.clear()
        if not self._queue:
            try:
                async with asyncio.timeout(self.hold):
                    await self._filled.wait()
            except TimeoutError:
                pass

    def _unknown_client(self, call: Call) -> Reply:
        advice = {"advice": {"reconnect": "handshake", "interval": 0}}
        return self._meta(
            call,
            successful=False,
            error="402::Unknown client",
            **(advice if call.kind == "connect" else {}),
        )

    def _meta(self, call: Call, **fields: Any) -> Reply:
        message = {"channel": call.body["channel"], "id": call.body["id"]} | fields
        if call.kind == "subscribe":
            message["subscription"] = call.body["subscription"]
        riding, self._queue = self._queue, []
        return json_reply([*riding, message])
