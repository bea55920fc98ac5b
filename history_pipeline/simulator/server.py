"""The simulator as a whole, in an event loop of the caller's.

Knows how the parts are put together, and how a server starts and ends. Listens on the
loopback only, or not at all: then whoever runs it hands the requests in.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from aiohttp import web

from history_pipeline.simulator.archiver import PerRequest, PerSecond
from history_pipeline.simulator.balancer import Balancer
from history_pipeline.simulator.bayeux_client import Client
from history_pipeline.simulator.bayeux_server import BayeuxRules, BayeuxServer
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.call_identity import Identities
from history_pipeline.simulator.changes import Changes
from history_pipeline.simulator.deliveries import Deliveries
from history_pipeline.simulator.draws import key_number
from history_pipeline.simulator.endings import EXPIRED, ORDINARY
from history_pipeline.simulator.faults import Faults
from history_pipeline.simulator.faults_switched import SwitchedFaults
from history_pipeline.simulator.gateway import Gateway
from history_pipeline.simulator.history_calls import HistoryCalls
from history_pipeline.simulator.http_sessions import HttpSession, HttpSessions
from history_pipeline.simulator.pages import Pages
from history_pipeline.simulator.roster import roster_of
from history_pipeline.simulator.shelf import Shelf
from history_pipeline.simulator.stats import Stats
from history_pipeline.simulator.timeline import timeline_key
from history_pipeline.simulator.world import World

LOOPBACK = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.5

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(slots=True, eq=False)
class RunningSimulator:
    """A server at work. `stats` is live; the two `drop_…` are what a restart does. `handle`
    answers one request, whichever way it came in."""

    world: World
    stats: Stats
    nodes: Sequence[Gateway]
    handle: Handler
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def expire(self, now: float) -> None:
        """Ends what has been idle for too long by `now`, in the loop's time."""
        for node in self.nodes:
            node.bayeux.expire(now)
            node.sessions.expire(now)

    def drop_http_sessions(self) -> int:
        """Ends all HTTP sessions, and the CometD sessions with them."""
        return sum(node.sessions.drop() for node in self.nodes)

    def drop_cometd_sessions(self) -> int:
        """Ends all CometD sessions; what was queued in them is lost."""
        return sum(node.bayeux.drop() for node in self.nodes)


class Simulator:
    """A GWS in front of a world.

    `faults` replaces the policy that follows `behaviour`'s switches; `today` is the day that
    default dates count from, the present one in the world's zone unless given. `clock`, in
    seconds, is what the archiver and a mute channel go by; `wall`, in seconds since 1970, what
    later changes go by.
    """

    def __init__(
        self,
        world: World,
        behaviour: Behaviour | None = None,
        *,
        faults: Faults | None = None,
        today: Callable[[], date] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._world = world
        self._behaviour = behaviour or Behaviour()
        self._faults = faults or SwitchedFaults(self._behaviour, clock=clock)
        self._today = today or (lambda: datetime.now(world.zone).date())
        self._clock = clock
        self._wall = wall
        self._ids = 0

    @contextlib.asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[RunningSimulator]:
        """Listens until the block ends; held polls are answered then. Port 0 picks a free one."""
        async with contextlib.AsyncExitStack() as stack:
            running = await self._assemble()
            runner = web.ServerRunner(
                web.Server(running.handle, access_log=None), shutdown_timeout=_SHUTDOWN_SECONDS
            )
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, LOOPBACK, port, backlog=1024)
            await site.start()
            running.port = runner.addresses[0][1]
            await stack.enter_async_context(self._at_work(running))
            yield running

    @contextlib.asynccontextmanager
    async def without_a_socket(self) -> AsyncIterator[RunningSimulator]:
        """The same, for requests that are handed to `handle` in this loop."""
        async with self._at_work(await self._assemble()) as running:
            yield running

    @contextlib.asynccontextmanager
    async def _at_work(self, running: RunningSimulator) -> AsyncIterator[RunningSimulator]:
        sweeper = asyncio.create_task(self._sweep(running), name="simulator-sweeper")
        try:
            yield running
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            running.drop_cometd_sessions()

    async def _assemble(self) -> RunningSimulator:
        stats = Stats()
        shelf = await self._shelf(stats)
        roster = roster_of(self._world.size, self._behaviour, stats.inject)
        pages = Pages(self._world, self._behaviour, roster)
        identities = Identities()
        first = self._behaviour.first_node
        nodes = [
            self._node(f"node{number}", stats, shelf, pages, identities)
            for number in range(first, first + self._behaviour.nodes)
        ]
        handle = nodes[0].handle if len(nodes) == 1 else Balancer(nodes, first).handle
        return RunningSimulator(self._world, stats, nodes, handle)

    async def _shelf(self, stats: Stats) -> Shelf:
        """The records, with the archiver at work on them if there is one."""
        behaviour = self._behaviour
        shelf = Shelf(self._world, remembered=behaviour.remembered_answers)
        gap = behaviour.archiver_gap
        changes = Changes(self._world, behaviour, self._wall)
        if changes.active:
            shelf.changes = changes
        if behaviour.archiver_per_request:
            shelf.archiver = PerRequest(behaviour.archiver_per_request, gap, self._clock)
        if behaviour.archiver_per_second:
            timeline = await asyncio.to_thread(shelf.timeline.keys)
            begins = timeline_key(self._world.archived_before_ms, 0)
            shelf.archiver = PerSecond(
                behaviour.archiver_per_second, gap, self._clock, timeline, begins
            )
        stats.archiver = shelf.archiver
        if self._world.size:
            shelf.warm(0)  # it can be a giant: generated before anyone waits for it
        return shelf

    def _node(
        self, name: str, stats: Stats, shelf: Shelf, pages: Pages, identities: Identities
    ) -> Gateway:
        behaviour, faults = self._behaviour, self._faults
        bayeux = BayeuxServer(self._rules(), self._new_id)

        def client_removed(client: Client, why: str) -> None:
            stats.cometd_sessions_expired += why == EXPIRED
            stats.inject("" if why in ORDINARY else why)
            calls.removed(client)

        def session_ended(session: HttpSession, why: str) -> None:
            stats.http_sessions_expired += why == EXPIRED
            stats.inject("" if why in ORDINARY else why)
            bayeux.drop(session.session_id)

        sessions = HttpSessions(
            behaviour, self._new_id, session_ended, faults.http_session_over, name
        )
        deliveries = Deliveries(bayeux, faults, stats, heard_by_all=behaviour.heard_by_all)
        calls = HistoryCalls(self._world, shelf, behaviour, faults, deliveries, stats, self._today)
        bayeux.on_removed, bayeux.on_subscribed = client_removed, deliveries.subscribed
        return Gateway(behaviour, faults, identities, sessions, bayeux, calls, pages, stats)

    def _rules(self) -> BayeuxRules:
        behaviour = self._behaviour
        return BayeuxRules(
            timeout=behaviour.cometd_timeout_ms / 1000,
            interval=behaviour.cometd_interval_ms / 1000,
            max_interval=behaviour.cometd_max_interval_ms / 1000,
            ack=behaviour.ack,
            allows=self._faults.subscription_allowed,
            over=self._faults.cometd_session_over,
            lost_session_advice=behaviour.lost_session_advice,
            transports=behaviour.transports,
        )

    async def _sweep(self, running: RunningSimulator) -> None:
        """Ends what has been idle for too long, or has lived long enough."""
        behaviour = self._behaviour
        lives = (
            behaviour.cometd_max_interval_ms / 1000,
            behaviour.http_session_timeout,
            behaviour.http_session_life,
            behaviour.cometd_session_life,
        )
        shortest = min(life for life in lives if life is not None)
        pause = min(max(shortest / 4, 0.02), 5.0)
        while True:
            await asyncio.sleep(pause)
            running.expire(asyncio.get_running_loop().time())

    def _new_id(self) -> str:
        """Ids in the order of asking, the same in every run with this seed."""
        self._ids += 1
        seed = self._behaviour.seed
        first, second = key_number("id", seed, self._ids), key_number("id2", seed, self._ids)
        return f"{first:016x}{second:016x}"
