"""A server with agents and a backfill on it, as a queue, on virtual time.

So many workers serve whoever came first. Agents' requests come at random moments, whatever the
backfill does; the backfill sends the next one as soon as its limit allows. Agents' requests and how
long each of them takes are drawn apart from the backfill's: with and without it they are the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, log, sqrt
from random import Random
from typing import Protocol

from history_pipeline_tests import virtual_time

Service = Callable[[Random], float]
"""Draws seconds that a request takes, once it is served."""


def alike(seconds: float) -> Service:
    """Most take about as long: a deviation of three tenths of the mean."""
    spread = sqrt(log(1 + 0.3**2))
    return lambda draw: seconds * exp(draw.gauss(0, spread) - spread**2 / 2)


def various(seconds: float) -> Service:
    """Exponential: a deviation as large as the mean."""
    return lambda draw: draw.expovariate(1 / seconds)


def heavy(seconds: float) -> Service:
    """One in fifty takes about ten times as long as the others."""
    usual = 0.4

    def service(draw: Random) -> float:
        of_these = 8.0 if draw.random() < 0.02 else 0.857
        return seconds * of_these * exp(draw.gauss(0, usual) - usual**2 / 2)

    return service


@dataclass(frozen=True, slots=True)
class Shape:
    """`busy` is how many workers the agents keep busy on average; `changed` are workers and mean
    service from the middle of the run on."""

    name: str
    workers: int
    busy: float
    kind: Callable[[float], Service]
    seconds: float = 0.3
    changed: tuple[int, float] | None = None


class Limit(Protocol):
    """What decides how many of the backfill's requests are in flight."""

    limit: int

    def admitted(self, in_flight: int) -> int: ...

    def answered(self, ticket: int, seconds: float, now: float) -> None: ...


@dataclass
class Fixed:
    """The same limit all the time; 0 is no backfill."""

    limit: int

    def admitted(self, in_flight: int) -> int:
        return 0

    def answered(self, ticket: int, seconds: float, now: float) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Played:
    """The backfill's answers a second, and what 99 of 100 agents' requests took at most."""

    throughput: float
    agents_p99: float
    most_in_flight: int

    def growth(self, alone: Played) -> float:
        return self.agents_p99 / alone.agents_p99 - 1


@dataclass
class Queue:
    """Workers, and who waits for one."""

    workers: int
    busy: int = 0
    waiting: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)

    def ask(self, seconds: float, answer: Callable[[], None]) -> None:
        if self.busy >= self.workers:
            self.waiting.append((seconds, answer))
            return
        self._serve(seconds, answer)

    def _serve(self, seconds: float, answer: Callable[[], None]) -> None:
        self.busy += 1
        asyncio.get_running_loop().call_later(seconds, self._served, answer)

    def _served(self, answer: Callable[[], None]) -> None:
        self.busy -= 1
        while self.waiting and self.busy < self.workers:
            self._serve(*self.waiting.popleft())
        answer()


class Agents:
    """Their requests, and how long each took."""

    def __init__(self, queue: Queue, shape: Shape, seed: int) -> None:
        self._queue = queue
        self._draw = Random(f"agents {seed}")
        self._a_second = shape.busy / shape.seconds
        self.service = shape.kind(shape.seconds)
        self.took: list[float] = []

    def start(self) -> None:
        pause = self._draw.expovariate(self._a_second)
        asyncio.get_running_loop().call_later(pause, self._ask)

    def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        self._queue.ask(self.service(self._draw), lambda: self.took.append(loop.time() - asked))
        self.start()

    def p99(self) -> float:
        return sorted(self.took)[int(len(self.took) * 0.99)]


class Backfill:
    """Has always more to ask."""

    def __init__(self, queue: Queue, shape: Shape, limit: Limit, seed: int) -> None:
        self._queue = queue
        self._draw = Random(f"backfill {seed}")
        self._limit = limit
        self._in_flight = 0
        self.service = shape.kind(shape.seconds)
        self.answers = self.most_in_flight = 0

    def ask(self) -> None:
        loop = asyncio.get_running_loop()
        while self._in_flight < self._limit.limit:
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
            ticket = self._limit.admitted(self._in_flight)
            asked = loop.time()
            self._queue.ask(
                self.service(self._draw),
                lambda ticket=ticket, asked=asked: self._answered(ticket, asked),
            )

    def _answered(self, ticket: int, asked: float) -> None:
        now = asyncio.get_running_loop().time()
        self._in_flight -= 1
        self.answers += 1
        self._limit.answered(ticket, now - asked, now)
        self.ask()


def play(shape: Shape, limit: Limit, seconds: float, seed: int) -> Played:
    async def whole() -> Played:
        queue = Queue(shape.workers)
        agents, backfill = Agents(queue, shape, seed), Backfill(queue, shape, limit, seed)

        def change(workers: int, mean: float) -> None:
            queue.workers = workers
            agents.service = backfill.service = shape.kind(mean)

        if shape.changed:
            asyncio.get_running_loop().call_later(seconds / 2, change, *shape.changed)
        agents.start()
        backfill.ask()
        await asyncio.sleep(seconds)
        return Played(backfill.answers / seconds, agents.p99(), backfill.most_in_flight)

    return virtual_time.run(whole())


@dataclass(frozen=True, slots=True)
class Compared:
    """`best` is the fixed limit with most throughput of those that agents do not notice."""

    alone: Played
    adaptive: Played
    best: int
    best_throughput: float

    @property
    def growth(self) -> float:
        return self.adaptive.growth(self.alone)

    @property
    def share(self) -> float:
        return self.adaptive.throughput / self.best_throughput


def compare(
    shape: Shape, limit: Limit, seconds: float, seed: int, candidates: range, room: float = 0.1
) -> Compared:
    """Sweeps the fixed limits, upwards, until agents notice more than twice of the room."""
    alone = play(shape, Fixed(0), seconds, seed)
    best, most = 0, 0.0
    for fixed in candidates:
        played = play(shape, Fixed(fixed), seconds, seed)
        if played.growth(alone) < room and played.throughput > most:
            best, most = fixed, played.throughput
        if played.growth(alone) > 2 * room:
            break
    return Compared(alone, play(shape, limit, seconds, seed), best, most)
