"""A data directory that runs are broken off in, and files of it that are damaged or held."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from history_pipeline.contacts import reading
from history_pipeline.history import extraction
from history_pipeline.history.extraction import utc_now
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts, parts, warehouse
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.dagster_ui.site import history_requests
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    settings_of,
)
from history_pipeline_tests.end_to_end.test_world import ASKED, compare

SPAN = Span(date(2026, 10, 1), date(2026, 10, 6), seed=2, contacts=30)
DAYS = Window(SPAN.start, SPAN.end)
PLANNED = SPAN.contacts * 2

PACED = {"GWS_CONCURRENCY": "4", "GWS_REQUESTS_PER_SECOND": "20"}
"""So that a part is written before all is asked."""

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no bytes": lambda _: b"",
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "something else": lambda _: b"what somebody has put here by mistake\n" * 30,
    "overwritten within": lambda whole: whole[:100] + b"\xff" * 200 + whole[300:],
}

OPEN = "import duckdb; held = duckdb.connect(sys.argv[1], read_only={})"
"""Has a DuckDB file open, for `holding`."""


@dataclass(frozen=True, slots=True)
class Place:
    """A data directory, and the server that it belongs to."""

    url: str
    root: Path

    def settings(self, **more: str) -> Settings:
        told = {"HISTORY_CUSTOM_ATTRIBUTES": json.dumps(ASKED), "GWS_NOTIFICATION_TIMEOUT": "30"}
        return settings_of(environment(self.url, self.root, **told, **more))

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def go_on(self, days: Window = DAYS, **more: str) -> int:
        """What `backfill` does, without Dagster and dbt: an unfinished run is gone on with.
        Returns how many requests were sent."""
        before = history_requests(self.url)
        attempt = self.asked(days, **more)
        warehouse.load(self.layout, utc_now())
        attempts.finish(attempt)
        return history_requests(self.url) - before

    def asked(self, days: Window = DAYS, **more: str) -> Attempt:
        """The same, short of loading."""
        settings = self.settings(**more)
        attempt = self.opened(settings, days)
        asyncio.run(extraction.extract(settings, self.layout, days, run_id=attempt.run_id))
        return attempt

    def opened(self, settings: Settings, days: Window = DAYS) -> Attempt:
        layout = open_layout(settings)
        print_ = attempts.fingerprint(settings)
        attempt = attempts.resumable(layout, days, print_, utc_now(), settings.zone)
        if attempt is None:
            reading.read(settings, layout, utc_now())
            attempt = asyncio.run(extraction.open_attempt(settings, layout, days))
        return attempt

    def put_down(self) -> int:
        """Requests that need not be asked again."""
        if self.layout.window_ledgers():
            return PLANNED
        return sum(parts.settled(each).num_rows for each in self.layout.attempts.glob("*/parts/*"))

    def check(self) -> None:
        compare(self.layout, SPAN, SPAN.start, SPAN.end)
        assert sorted(self.root.glob(".*")) == [], "nothing half made lies about"


def copied(place: Place, root: Path) -> Place:
    shutil.copytree(place.root, root / "data")
    return Place(place.url, root / "data")


def spoil(path: Path, damage: str) -> Path:
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    return path


@contextmanager
def holding(path: Path, code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds a file until it is killed."""
    code = f"import sys; {code}; print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()
