"""A warehouse that is loaded and published again and again while others read it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from history_pipeline.storage import publishing
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.storage.lake import MAY, Lake, observation

INTERACTIONS = 500
PAUSE = 0.06
"""Seconds between two reads of one, for each of them: a read takes some 50 ms of a core, and the
loads must get their share."""
READER = [sys.executable, "-W", "ignore", "-m", "history_pipeline_tests.readers.reader"]


@dataclass(frozen=True, slots=True)
class Reads:
    """What all readers saw together; `states` is how many published states one saw at most,
    `held` how many those saw that held the file open."""

    readers: int
    reads: int
    torn: int
    errors: list[str]
    states: int
    held: int
    is_in_order: bool


def publish(lake: Lake, number: int) -> None:
    """A run that sees every interaction in state `number`, loaded and published."""
    lake.run(
        [
            observation(
                f"i{n:05d}",
                run=number,
                state=f"{number:03d}",
                attributes={"OrderNo": f"{number:03d}"},
                asked=["OrderNo"],
                window_date=MAY.start + timedelta(days=n % 5),
            )
            for n in range(INTERACTIONS)
        ],
        run=number,
    )
    lake.load(number)
    publishing.mark_modelled(lake.layout)
    publishing.publish(lake.layout)


def read_while_publishing(layout: Layout, *, readers: int, loads: int) -> Reads:
    lake = Lake(layout)
    publish(lake, 0)
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(_reader(layout, pause=readers * PAUSE, hold=number % 5 == 0))
            for number in range(readers)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for number in range(1, loads + 1):
            publish(lake, number)
        found = [
            json.loads(process.communicate("enough\n", timeout=120)[0]) for process in processes
        ]
    return Reads(
        readers,
        sum(each["reads"] for each in found),
        sum(each["torn"] for each in found),
        [error for each in found for error in each["errors"]],
        max(len(each["seen"]) for each in found),
        max(len(each["seen"]) for each in found[::5]),
        all(each["seen"] == sorted(set(each["seen"])) for each in found),
    )


@contextlib.contextmanager
def _reader(layout: Layout, *, pause: float, hold: bool) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*READER, str(layout.published), str(INTERACTIONS), str(pause), "hold" if hold else "anew"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
