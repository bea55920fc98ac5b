"""The simulator as a whole, in an event loop of the caller's.

Knows how the parts are put together, and how a server starts and ends. Listens on the
loopback only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime

from aiohttp import web

from history_pipeline.simulator.bayeux_server import BayeuxRules, BayeuxServer
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import key_number
from history_pipeline.simulator.faults import Faults, SwitchedFaults
from history_pipeline.simulator.gateway import Gateway
from history_pipeline.simulator.history_calls import HistoryCalls
from history_pipeline.simulator.http_sessions import HttpSession, HttpSessions
from history_pipeline.simulator.pages import Pages
from history_pipeline.simulator.stats import Stats
from history_pipeline.simulator.world import World

LOOPBACK = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.5


class RunningSimulator:
    """A server that listens. `stats` is live; the two `drop_…` are what a restart does."""

    def __init__(
        self, world: World, stats: Stats, sessions: HttpSessions, bayeux: BayeuxServer
    ) -> None:
        self.world = world
        self.stats = stats
        self.port = 0
        self._sessions = sessions
        self._bayeux = bayeux

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def expire(self, now: float) -> None:
        """Ends what has been idle for too long by `now`, in the loop's time."""
        self.stats.cometd_sessions_expired += self._bayeux.expire(now)
        self.stats.http_sessions_expired += self._sessions.expire(now)

    def drop_http_sessions(self) -> int:
        """Ends all HTTP sessions, and the CometD sessions with them."""
        return self._sessions.drop()

    def drop_cometd_sessions(self) -> int:
        """Ends all CometD sessions; what was queued in them is lost."""
        return self._bayeux.drop()


class Simulator:
    """A GWS in front of a world.

    `faults` replaces the policy that follows `behaviour`'s switches; `today` is the day that
    default dates count from, the present one in the world's zone unless given.
    """

    def __init__(
        self,
        world: World,
        behaviour: Behaviour | None = None,
        *,
        faults: Faults | None = None,
        today: Callable[[], date] | None = None,
    ) -> None:
        self._world = world
        self._behaviour = behaviour or Behaviour()
        self._faults = faults or SwitchedFaults(self._behaviour)
        self._today = today or (lambda: datetime.now(world.zone).date())
        self._ids = 0

    @contextlib.asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[RunningSimulator]:
        """Listens until the block ends; held polls are answered then. Port 0 picks a free one."""
        running, gateway = self._assemble()
        server = web.Server(gateway.handle, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        sweeper: asyncio.Task[None] | None = None
        try:
            site = web.TCPSite(runner, LOOPBACK, port, backlog=1024)
            await site.start()
            running.port = runner.addresses[0][1]
            sweeper = asyncio.create_task(self._sweep(running))
            yield running
        finally:
            if sweeper is not None:
                sweeper.cancel()
                await asyncio.gather(sweeper, return_exceptions=True)
            running.drop_cometd_sessions()
            await runner.cleanup()

    def _assemble(self) -> tuple[RunningSimulator, Gateway]:
        behaviour, stats = self._behaviour, Stats()
        rules = BayeuxRules(
            timeout=behaviour.cometd_timeout_ms / 1000,
            interval=behaviour.cometd_interval_ms / 1000,
            max_interval=behaviour.cometd_max_interval_ms / 1000,
            ack=behaviour.ack,
            allows=self._faults.subscription_allowed,
        )
        bayeux = BayeuxServer(rules, self._new_id)

        def ended(session: HttpSession) -> None:
            bayeux.drop(session.session_id)

        sessions = HttpSessions(behaviour, self._new_id, ended)
        calls = HistoryCalls(self._world, behaviour, self._faults, bayeux, stats, self._today)
        calls.warm()
        pages = Pages(self._world, behaviour)
        gateway = Gateway(behaviour, self._faults, sessions, bayeux, calls, pages, stats)
        return RunningSimulator(self._world, stats, sessions, bayeux), gateway

    async def _sweep(self, running: RunningSimulator) -> None:
        """Ends what has been idle for too long."""
        behaviour = self._behaviour
        shortest = min(behaviour.cometd_max_interval_ms / 1000, behaviour.http_session_timeout)
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
