"""Plays one history to its end, and tells what came of it.

The client and the collector are the pipeline's own, the server is the simulator; only the network
is of this package, and time is virtual.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa

from history_pipeline.errors import PipelineError
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.inquiry import Answer
from history_pipeline.gws.pacing import Pace
from history_pipeline.history.account import Account
from history_pipeline.history.collect import Collector, Task
from history_pipeline.history.parting import Ask
from history_pipeline.history.scrutiny import Looked, Scrutiny
from history_pipeline.history.verdicts import Verdicts
from history_pipeline.model import HistoryRequest, Outcome, Source, Window
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.faults_switched import SwitchedFaults
from history_pipeline.simulator.server import RunningSimulator, Simulator
from history_pipeline.simulator.world import World
from history_pipeline_tests.chaos.histories import ATTEMPTS, DAYS_OF_A_WINDOW, History, Moment
from history_pipeline_tests.chaos.network import Network, Spent
from history_pipeline_tests.chaos.watching import WatchedFaults
from history_pipeline_tests.virtual_time import DeterministicLoop

ZONE = "Europe/Berlin"
FIRST_DAY = date(2026, 10, 20)
"""A clock change lies in the second window."""

EPOCH = 1_795_000_000.0
LONGEST = 6 * 3600.0
"""Virtual seconds after which a history hangs."""

AUTHORIZATION = "Basic YXBpdXNlcjpwYXNzd29yZA=="
SOURCES = (Source.MAIN, Source.ARCHIVE)
CRITERIA = wire.Filter()


@dataclass(slots=True)
class Collected:
    """What the collector put down."""

    answers: dict[HistoryRequest, list[list[msgspec.Raw]]] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(slots=True)
class Played:
    """How a history ended. `error` is what the run ended with, if it did not end well; `strays`
    are tasks, futures and questions that were left behind; `unheard` what nobody asked for."""

    history: History
    world: World
    behaviour: Behaviour
    faults: SwitchedFaults
    spent: Spent
    criteria: wire.Filter = CRITERIA
    collected: Collected = field(default_factory=Collected)
    accounts: list[Account] = field(default_factory=list)
    error: PipelineError | None = None
    hangs: bool = False
    strays: list[str] = field(default_factory=list)
    unheard: list[str] = field(default_factory=list)
    most_in_flight: int = 0
    most_at_the_server: int = 0
    seconds: float = 0.0
    happened: dict[str, int] = field(default_factory=dict)


def windows(history: History) -> list[Window]:
    length = timedelta(days=DAYS_OF_A_WINDOW)
    starts = [FIRST_DAY + n * length for n in range(history.windows)]
    return [Window(start, start + length) for start in starts]


@lru_cache(maxsize=64)
def world(history_seed: int, contacts: int) -> World:
    """A small one: the first contacts of some twenty worlds, over all windows and a day around."""
    return World(
        seed=history_seed % 20,
        contacts=contacts,
        start=FIRST_DAY - timedelta(days=1),
        end=FIRST_DAY + timedelta(days=3 * DAYS_OF_A_WINDOW + 1),
        zone=ZONE,
        interactions_per_contact=6.0,
        unreadable_share=0.03,
    )


def behaviour(history: History) -> Behaviour:
    return Behaviour(seed=history.seed, **dict(history.switches))


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keeps the pipeline's warnings from the screen: there is one for every fault."""
    logger = logging.getLogger("history_pipeline")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def play(history: History) -> Played:
    spent = Spent()
    clock = Clock()
    how = behaviour(history)
    faults = WatchedFaults(how, spent, history.deadline, clock=clock.time, wall=clock.wall)
    played = Played(history, world(history.seed, history.contacts), how, faults, spent)
    with asyncio.Runner(loop_factory=DeterministicLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, DeterministicLoop)
        clock.loop = loop
        loop.set_exception_handler(
            lambda _, told: played.unheard.append(f"{told['message']}: {told.get('exception')!r}")
        )
        with silence():
            runner.run(_play(played, clock))
        gc.collect()
    return played


@dataclass(slots=True)
class Clock:
    """The loop's time, and the wall clock of client and server, which can be moved."""

    loop: DeterministicLoop | None = None
    moved: float = 0.0

    def time(self) -> float:
        return self.loop.time() if self.loop is not None else 0.0

    def wall(self) -> float:
        return EPOCH + self.time()

    def now(self) -> datetime:
        """The client's, which can be wrong."""
        return datetime.fromtimestamp(self.wall() + self.moved, UTC)


async def _play(played: Played, clock: Clock) -> None:
    history = played.history
    simulator = Simulator(
        played.world, played.behaviour, faults=played.faults, clock=clock.time, today=_today
    )
    async with (
        simulator.without_a_socket() as server,
        connected(history, server, clock, played.spent) as network,
    ):
        began = clock.time()
        ours = asyncio.create_task(_collect(played, network, clock), name="the run")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                await asyncio.shield(ours)
        if not ours.done():
            played.hangs = True
            ours.cancel()
            await asyncio.wait({ours})
        played.seconds = clock.time() - began
        played.most_in_flight = network.flight.most
        played.most_at_the_server = server.stats.most_in_flight
        played.happened = dict(server.stats.faults)
        played.strays += strays(network)


def _today() -> date:
    return FIRST_DAY + timedelta(days=30)


@contextlib.asynccontextmanager
async def connected(
    history: History, server: RunningSimulator, clock: Clock, spent: Spent
) -> AsyncIterator[Network]:
    """The way to the server, with the moments of the history on their way."""
    network = Network(history, server.handle, AUTHORIZATION, clock.wall, spent)
    loop = clock.loop
    assert loop is not None
    timers = [
        loop.call_later(moment.at, _happen, moment, network, server, clock, spent)
        for moment in history.moments
    ]
    try:
        yield network
    finally:
        for timer in timers:
            timer.cancel()
        await network.close()


def _happen(
    moment: Moment, network: Network, server: RunningSimulator, clock: Clock, spent: Spent
) -> None:
    assert clock.loop is not None
    spent.all += 1
    match moment.kind:
        case "freeze":
            network.frozen_until = clock.time() + moment.seconds
        case "outage":
            network.down_until = clock.time() + moment.seconds
        case "leap":
            clock.loop.leap(moment.seconds)
        case "wall":
            clock.moved += moment.seconds
        case "restart":
            server.drop_http_sessions()
        case "channel restart":
            server.drop_cometd_sessions()
        case _:
            raise AssertionError(moment.kind)


async def _collect(played: Played, network: Network, clock: Clock) -> None:
    history = played.history
    client = GwsClient(
        network,
        notifications_path="/api/v2/notifications",
        channel="/v2/ucs/interactions",
        deadline=history.deadline,
        canary_interval=history.canary,
        in_flight=history.concurrency,
        # the others ask as much at once as they may, from the start
        floor=1 if history.seed % 3 == 1 else None,
        pace=Pace(history.per_second, is_fresh=False),
        first_patience=300.0,
    )
    contact_ids = pa.array([contact.contact_id for contact in played.world.contacts()])
    recorder = Memory(played.collected, history.seed)
    verdicts = Verdicts()
    try:
        async with client:
            for window in windows(history):
                task = Task(window, SOURCES, CRITERIA, history.concurrency, ATTEMPTS)
                collector = Collector(
                    client, recorder, verdicts, task, clock.now, scrutiny=Unquestioned()
                )
                played.accounts.append(collector.account)
                await collector.collect(contact_ids, NOTHING_SETTLED)
                canaries = sum(task.get_name() == "canary" for task in asyncio.all_tasks())
                if client.outstanding > canaries:
                    played.strays.append(f"{client.outstanding} questions are still open")
    except PipelineError as exc:
        played.error = exc


NOTHING_SETTLED = pa.table(
    {"contact_id": pa.array([], pa.string()), "source": pa.array([], pa.string()),
     "state": pa.array([], pa.string())}
)  # fmt: skip


class Unquestioned(Scrutiny):
    """Takes every answer as it came: the judge wants each request put down once, and nothing is
    cut here. Answers that are cut have tests of their own."""

    async def look(
        self, request: HistoryRequest, criteria: wire.Filter, answer: Answer, ask: Ask
    ) -> Looked:
        return Looked(answer, None)


class Memory:
    """Keeps what the collector puts down, in place of parts on a disk. Takes its time."""

    def __init__(self, collected: Collected, seed: int) -> None:
        self._collected = collected
        self._slow = seed % 3 == 0

    async def answer(
        self, outcome: Outcome, records: msgspec.Raw, received: int | None = None
    ) -> None:
        answers = self._collected.answers.setdefault(outcome.request, [])
        answers.append(payloads.records(records))
        if self._slow:
            await asyncio.sleep(0)
        self.settle(outcome)

    def settle(self, outcome: Outcome) -> None:
        self._collected.outcomes.append(outcome)

    def counts(self) -> tuple[int, int]:
        return 0, 0

    async def room(self) -> None:
        if self._slow and len(self._collected.outcomes) % 10 == 0:
            await asyncio.sleep(0.05)


def strays(network: Network) -> list[str]:
    """Tasks that are neither this one, nor the server's."""
    ours = {asyncio.current_task(), *network.at_the_server}
    left = [task for task in asyncio.all_tasks() if task not in ours]
    return [str(_named(task)) for task in left if task.get_name() != "simulator-sweeper"]


def _named(task: asyncio.Task[Any]) -> Callable[[], object] | str:
    return f"task {task.get_name()}: {task.get_coro()!r}"
