"""An interview with a simulated server, in memory and on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.pacing import Pace
from history_pipeline.probing.finding import Finding, Question, Standing
from history_pipeline.probing.interview import Interview
from history_pipeline.settings import Settings
from history_pipeline.simulator import Behaviour, RunningSimulator, Simulator, World
from history_pipeline_tests import virtual_time
from history_pipeline_tests.chaos.histories import History
from history_pipeline_tests.chaos.network import Network, Spent
from history_pipeline_tests.chaos.playing import AUTHORIZATION, EPOCH
from history_pipeline_tests.end_to_end.running import environment, settings_of

WORLD = World(
    seed=3,
    contacts=60,
    start=date(2026, 3, 1),
    end=date(2026, 4, 12),
    unreadable_share=0.0,
)
TODAY = WORLD.end + timedelta(days=3)
OPEN, SETTLED, NOTABLE = Standing.OPEN, Standing.SETTLED, Standing.NOTABLE


@dataclass(frozen=True, slots=True)
class Held:
    """An interview that was held: its findings, what it took, and what the server has seen."""

    findings: dict[Question, Finding]
    requests: int
    seconds: float
    stats: dict[str, Any]
    has_activity: bool | None

    def verdict(self, question: Question) -> str:
        return self.findings[question].verdict

    def standing(self, question: Question) -> Standing:
        return self.findings[question].standing

    def setting(self, name: str) -> str | None:
        found = [pair[1] for one in self.findings.values() for pair in one.settings]
        pairs = [pair for one in self.findings.values() for pair in one.settings]
        assert len(found) == len(pairs)
        return dict(pairs).get(name)


def settings(zone: str = "Europe/Berlin", **told: str) -> Settings:
    usual = {"GWS_NOTIFICATION_TIMEOUT": "60", "HISTORY_START_DATE": "2020-01-01"}
    return settings_of(environment("http://127.0.0.1:1", Path("/nowhere"), zone, **(usual | told)))


def held(
    world: World = WORLD,
    *,
    given: str | None = None,
    listed: Sequence[str] = (),
    zone: str = "Europe/Berlin",
    today: date = TODAY,
    per_second: float = 0.0,
    told: dict[str, str] | None = None,
    **behaviour: Any,
) -> Held:
    """`told` are further variables of the environment, `behaviour` are switches."""
    return virtual_time.run(
        _held(
            Simulator(world, Behaviour(**behaviour), today=lambda: today),
            settings(zone, **(told or {})),
            given,
            listed,
            today,
            per_second,
        )
    )


async def _held(
    simulator: Simulator,
    settings_: Settings,
    given: str | None,
    listed: Sequence[str],
    today: date,
    per_second: float,
) -> Held:
    pace = Pace(per_second)
    async with simulator.without_a_socket() as server:
        async with _client(server, settings_, pace) as client:
            began = asyncio.get_running_loop().time()
            interview = Interview(
                client,
                lambda: _client(server, settings_, pace),
                settings_,
                today,
                began + 60.0,
                given,
                listed,
            )
            await interview.hold()
            seconds = asyncio.get_running_loop().time() - began
        stats = server.stats.snapshot()
    assert len({one.question for one in interview.findings}) == len(interview.findings)
    operations = stats["operations"]
    requests = sum(count for name, count in operations.items() if name.startswith("Retrieve"))
    findings = {one.question: one for one in interview.findings}
    return Held(findings, requests, seconds, stats, interview.has_activity)


@asynccontextmanager
async def _client(
    server: RunningSimulator, settings_: Settings, pace: Pace
) -> AsyncIterator[GwsClient]:
    quiet = History(1, 1, 1, 4, 0.0, 45.0, 30.0)
    async with AsyncExitStack() as stack:
        network = Network(quiet, server.handle, AUTHORIZATION, lambda: EPOCH, Spent())
        stack.push_async_callback(network.close)
        yield await stack.enter_async_context(
            GwsClient(
                network,
                notifications_path=settings_.notifications_path,
                channel=settings_.channel,
                deadline=45.0,
                canary_interval=settings_.canary_interval,
                in_flight=4,
                pace=pace,
            )
        )
