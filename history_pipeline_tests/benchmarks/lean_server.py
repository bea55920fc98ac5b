"""The simulator's world behind an HTTP that costs little: `python -m ….lean_server`.

The world, its answers and its CometD are the simulator's own; faults, archiver and aiohttp are left
out, for a request would take as long there as in the client that is measured. Every login is taken,
and whoever comes is one and the same HTTP session. Prints a line of JSON with its url and pid.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from history_pipeline.simulator.answers import CHANNEL, encode, notification
from history_pipeline.simulator.bayeux_client import Client, Held
from history_pipeline.simulator.bayeux_server import BayeuxRules, BayeuxServer
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.gateway import assembled
from history_pipeline.simulator.history_query import (
    CONTACT_HISTORY,
    HistoryQuery,
    QueryRules,
    parse_query,
)
from history_pipeline.simulator.pages import Pages
from history_pipeline.simulator.paths import NOTIFICATIONS_PATH, STATS_PATH, contact_in
from history_pipeline.simulator.roster import SteadyRoster
from history_pipeline.simulator.shelf import Shelf
from history_pipeline.simulator.stats import Stats
from history_pipeline.simulator.world import World
from history_pipeline_tests.benchmarks.scene import WINDOW

SESSION = "race"
_LOGGED_IN = (
    "Set-Cookie: JSESSIONID=race.node1; Path=/; HttpOnly\r\n"
    "X-CSRF-HEADER: X-CSRF-TOKEN\r\nX-CSRF-TOKEN: 6f1ed002ab5595859014ebf0951522d9\r\n"
)
_OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: lean\r\n%sContent-Length: %d\r\n\r\n"
_DRAWS = 1 << 32


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from acceptance to notification; `late_share` of them come later by so much."""

    low: float
    high: float
    late_share: float = 0.0
    late: float = 0.0

    def seconds(self, asked: bytes) -> float:
        """The same question takes as long, whoever asks it and when."""
        share = zlib.crc32(asked) / _DRAWS
        late = self.late if zlib.crc32(asked, 1) / _DRAWS < self.late_share else 0.0
        return (self.low + share * (self.high - self.low) + late) / 1000


class LeanServer:
    """What it knows of all connections together."""

    def __init__(self, world: World, latency: Latency) -> None:
        self._world = world
        self._latency = latency
        self._shelf = Shelf(world, bound=1)
        self._pages = Pages(world, Behaviour(max_page=500), SteadyRoster(world.size))
        self._bayeux = BayeuxServer(BayeuxRules(), lambda: os.urandom(16).hex())
        self._reference_id = 0
        self._parsed = lru_cache(64)(self._parse)
        self._answer = lru_cache(None)(self._made_answer)
        self.stats = Stats()

    def history(self, contact_id: str, body: bytes) -> bytes:
        """Accepts a question; its answer is on its way then."""
        index = self._world.index_of(contact_id)
        if index is None:
            return b'{"statusCode":6,"statusMessage":"contact not found"}'
        query = self._parsed(body)
        client = self._bayeux.subscriber(SESSION, CHANNEL)
        self._reference_id += 1
        self.stats.accepted()
        asked = f"{contact_id} {query.source}".encode()
        asyncio.get_running_loop().call_later(
            self._latency.seconds(asked), self._send, client, self._reference_id, index, query
        )
        return b'{"statusCode":0,"referenceId":%d}' % self._reference_id

    def poll(self, body: bytes, answer: Callable[[bytes], None]) -> None:
        loop = asyncio.get_running_loop()
        turn = self._bayeux.receive(msgspec.json.decode(body), SESSION, loop.time())
        if turn.held is None:
            answer(assembled(turn.parts))
            return
        held = turn.held
        ends = loop.call_at(held.until, self._finish, held, answer)

        def wake() -> None:
            # whatever else is due at this moment rides on the same reply
            held.wake = lambda: None
            ends.cancel()
            loop.call_soon(self._finish, held, answer)

        held.wake = wake

    def page(self, path: str, query: str) -> bytes:
        return encode(self._pages.read(path, dict(parse_qsl(query))))

    def told(self) -> bytes:
        return encode(self.stats.snapshot() | {"cpuSeconds": time.process_time()})

    def _send(self, client: Client | None, number: int, index: int, query: HistoryQuery) -> None:
        self.stats.settled()
        if client is not None and not client.gone:
            self._bayeux.deliver(client, notification(number, [self._answer(index, query)]))

    def _made_answer(self, index: int, query: HistoryQuery) -> bytes:
        return b",".join(self._shelf.contact_history(index, query))

    def _parse(self, body: bytes) -> HistoryQuery:
        told: Any = msgspec.json.decode(body)
        return parse_query(told, CONTACT_HISTORY, QueryRules(self._world.zone), WINDOW.end)

    def _finish(self, held: Held, answer: Callable[[bytes], None]) -> None:
        answer(assembled(self._bayeux.finish(held, asyncio.get_running_loop().time())))


class Connection(asyncio.Protocol):
    """One HTTP connection; requests come one after the other, as aiohttp and requests send them."""

    def __init__(self, server: LeanServer) -> None:
        self._server = server
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        self._received += received
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head, body_at = self._received[:end], end + 4
        length = _content_length(head)
        if len(self._received) < body_at + length:
            return
        body = self._received[body_at : body_at + length]
        self._received = self._received[body_at + length :]
        method, target = head[: head.index(b"\r\n")].decode().split(" ")[:2]
        self._answer(method, target, body)

    def _answer(self, method: str, target: str, body: bytes) -> None:
        if method == "POST" and target == NOTIFICATIONS_PATH:
            self._server.poll(body, self._reply)
        elif method == "POST" and (contact_id := contact_in(target)) is not None:
            self._reply(self._server.history(contact_id, body))
        elif target == STATS_PATH:
            self._reply(self._server.told())
        else:
            url = urlsplit(target)
            self._reply(self._server.page(url.path, url.query), _LOGGED_IN)

    def _reply(self, body: bytes, headers: str = "") -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write((_OK % (headers, len(body))).encode() + body)


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    end = head.find(b"\r\n", at + 2)
    return int(head[at + 17 : end if end > 0 else None])


async def _serve(server: LeanServer) -> None:
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=1024)
    port = listening.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}), flush=True)
    # whoever started it holds the other end
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--contacts", type=int, required=True)
    parser.add_argument("--start", type=date.fromisoformat, required=True)
    parser.add_argument("--end", type=date.fromisoformat, required=True)
    parser.add_argument("--per-contact", type=float, required=True)
    parser.add_argument("--latency", type=json.loads, required=True, help="fields of Latency")
    told = parser.parse_args()
    # what costs a contender nothing that keeps nothing would only blur the comparison: every record
    # can be read, and each interaction is one contact's
    world = World(
        seed=1, contacts=told.contacts, start=told.start, end=told.end, zone="Europe/Berlin",
        interactions_per_contact=told.per_contact, unreadable_share=0.0, merged_share=0.0,
    )  # fmt: skip
    asyncio.run(_serve(LeanServer(world, Latency(**told.latency))))


if __name__ == "__main__":
    main()
