"""The daily command, from its start to its end: over a day on which nothing happened, and eight days
over a warehouse of its full size; and what a year of a contact costs the server."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from history_pipeline.model import Window
from history_pipeline_tests.benchmarks.measuring import run_apart
from history_pipeline_tests.benchmarks.races import FULL, Say, Size
from history_pipeline_tests.benchmarks.scene import ASKED_JSON, Server
from history_pipeline_tests.end_to_end.running import Span, environment, simulator_process

DAYS = 8
RUNS = 5
CONTACTS, MANY_CONTACTS = 20, 2_000
YEAR = Window(date(2025, 10, 1), date(2026, 10, 1))
LAST = YEAR.last
_DEADLINE = 1800


def daily(size: Size, say: Say) -> dict[str, Any]:
    runs = RUNS if size is FULL else 1
    with _server(CONTACTS, per_contact=0.0) as asked, tempfile.TemporaryDirectory() as root:
        _backfill(asked, root, LAST - timedelta(days=7), LAST - timedelta(days=1))
        empty = [_backfill(asked, root, LAST, LAST) for _ in range(runs)]
    say(f"an empty day: {statistics.median(empty):.1f} s")
    with _server(CONTACTS) as asked, tempfile.TemporaryDirectory() as root:
        _backfill(asked, root, YEAR.start, YEAR.last)
        a_source = asked.accepted / CONTACTS / 2
    say(f"a year of a contact: {a_source:g} requests a source")
    contacts = MANY_CONTACTS if size is FULL else CONTACTS
    with _server(contacts) as asked, tempfile.TemporaryDirectory() as root:
        run_apart("loading", "make", root, str(size.loaded_rows), asked.url)
        run_apart("loading", "first", root, str(size.loaded_rows), asked.url)
        first = LAST - timedelta(days=DAYS - 1)
        _backfill(asked, root, first, LAST)  # has the models built over all of it
        full = [_backfill(asked, root, first, LAST) for _ in range(max(1, runs // 2))]
    say(
        f"{DAYS} days of {contacts} contacts over {size.loaded_rows:,} interactions: {full[0]:.1f} s"
    )
    return {
        "empty_seconds": statistics.median(empty),
        "requests_a_source": a_source,
        "days": DAYS,
        "contacts": contacts,
        "rows": size.loaded_rows,
        "full_seconds": statistics.median(full),
    }


@contextmanager
def _server(contacts: int, per_contact: float = 20.0) -> Iterator[Server]:
    span = Span(YEAR.start, YEAR.end, contacts=contacts)
    flags = ("--interactions-per-contact", str(per_contact), "--latency", "20,60")
    with simulator_process(span, *flags) as ready:
        yield Server(ready["url"], ready["pid"])


def _backfill(asked: Server, root: str, first: date, last: date) -> float:
    """Seconds that the command takes. Raises RuntimeError where it does not end well."""
    told = environment(
        asked.url,
        Path(root),
        GWS_CONCURRENCY="64",
        GWS_NOTIFICATION_TIMEOUT="60",
        HISTORY_CUSTOM_ATTRIBUTES=ASKED_JSON,
    )
    command = [
        *(sys.executable, "-c", "from history_pipeline.cli import run; run()", "backfill"),
        *("--from", first.isoformat(), "--to", last.isoformat()),
    ]
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**os.environ, **told}, capture_output=True, text=True, check=False,
        timeout=_DEADLINE, cwd=root,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"backfill ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return time.perf_counter() - began
