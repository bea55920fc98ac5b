"""`python -m history_pipeline_tests.soak`: one long extraction with faults, watched; the figures.

Everything is one process but the server. What is compared is the memory at a third of the time
and at its end, and the most sockets and tasks in the first and in the last third.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from history_pipeline.contacts import reading
from history_pipeline.history.extraction import NoProgress, extract
from history_pipeline.model import Outcome, Window
from history_pipeline.settings import Settings
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    settings_of,
    simulator,
)

SPAN = Span(date(2017, 1, 1), date(2026, 10, 1), contacts=900, seed=3)
WEATHER = (
    *("--latency", "5,60", "--lost-share", "0.01", "--doubled-share", "0.05"),
    *("--late-share", "0.01", "--late-seconds", "3", "--foreign-share", "0.1"),
    *("--error-share", "0.01", "--cut-reply-share", "0.02", "--http-401-share", "0.005"),
    *("--http-429-share", "0.002", "--http-500-share", "0.01", "--html-share", "0.005"),
    *("--reset-share", "0.01", "--truncated-share", "0.01", "--cometd-session-requests", "400"),
    *("--http-session-requests", "700"),
)
MOST_GROWTH = 5 * 1024 * 1024
MOST_MORE = 4
"""Sockets, and tasks."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds since the start, bytes in memory, open sockets, tasks."""

    at: float
    memory: int
    sockets: int
    tasks: int


class Tally(NoProgress):
    def __init__(self) -> None:
        self.states: Counter[str] = Counter()

    def outcome(self, outcome: Outcome) -> None:
        self.states[outcome.state.value] += 1


def sample(at: float) -> Sample:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sockets = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets += str(entry.readlink()).startswith("socket:")
    return Sample(at, pages * os.sysconf("SC_PAGE_SIZE"), sockets, len(asyncio.all_tasks()))


async def soaked(settings: Settings, days: Window, seconds: float, tally: Tally) -> list[Sample]:
    """Samples, one a second, of an extraction that is broken off after so long."""
    layout = open_layout(settings)
    await asyncio.to_thread(reading.read, settings, layout, datetime.now(UTC))
    samples, started = [], time.monotonic()
    working = asyncio.create_task(extract(settings, layout, days, progress=tally))
    while not working.done() and (at := time.monotonic() - started) < seconds:
        samples.append(sample(at))
        await asyncio.sleep(1.0)
    if not working.done():
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
    else:
        working.result()
    return samples


def third(samples: Sequence[Sample], number: int) -> Sequence[Sample]:
    size = len(samples) // 3
    return samples[number * size : (number + 1) * size]


def memory_at(samples: Sequence[Sample]) -> int:
    """The least of the last tenth of these: what is held when no part is being written."""
    return min(sample.memory for sample in samples[-max(1, len(samples) // 10) :])


@dataclass(frozen=True, slots=True)
class Figures:
    """Bytes in memory at a third of the time and at its end; the most sockets and tasks of the
    first third and of the last."""

    memory: tuple[int, int]
    sockets: tuple[int, int]
    tasks: tuple[int, int]

    @property
    def is_flat(self) -> bool:
        return (
            self.memory[1] - self.memory[0] <= MOST_GROWTH
            and self.sockets[1] - self.sockets[0] <= MOST_MORE
            and self.tasks[1] - self.tasks[0] <= MOST_MORE
        )

    def __str__(self) -> str:
        early, late = (each / 2**20 for each in self.memory)
        return (
            f"memory at a third {early:.1f} MB, at the end {late:.1f} MB ({late - early:+.1f}); "
            f"most sockets {self.sockets[0]} and {self.sockets[1]}, "
            f"most tasks {self.tasks[0]} and {self.tasks[1]}"
        )


def figures(samples: Sequence[Sample]) -> Figures:
    first, last = third(samples, 0), third(samples, 2)
    return Figures(
        (memory_at(first), memory_at(last)),
        (max(each.sockets for each in first), max(each.sockets for each in last)),
        (max(each.tasks for each in first), max(each.tasks for each in last)),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    told = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as home, simulator(SPAN, *WEATHER) as url:
        settings = settings_of(
            environment(url, Path(home), GWS_CONCURRENCY="16", GWS_MAX_ATTEMPTS="12",
                        GWS_NOTIFICATION_TIMEOUT="2", HISTORY_START_DATE=SPAN.start.isoformat())
        )  # fmt: skip
        samples = asyncio.run(
            soaked(settings, Window(SPAN.start, SPAN.end), told.minutes * 60, tally)
        )
    seen = figures(samples)
    print(f"{samples[-1].at / 60:.1f} minutes, {dict(tally.states)}; {seen}")
    return 0 if seen.is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
