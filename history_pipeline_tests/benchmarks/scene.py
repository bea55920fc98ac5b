"""The server and the world that all contenders are given."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from history_pipeline.contacts import reading
from history_pipeline.model import Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    environment,
    open_layout,
    settings_of,
)

WINDOW = Window(date(2026, 9, 1), date(2026, 10, 1))
SOURCES = (Source.MAIN, Source.ARCHIVE)
ASKED = ("OrderNo", "Segment")
ASKED_JSON = json.dumps(ASKED)

PER_CONTACT = 20.0
"""Interactions in the window, on average; some of them in both sources."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From acceptance to notification."""

    name: str
    told: dict[str, float]


FAST = Latency("1-3 ms", {"low": 1, "high": 3})
USUAL = Latency("20-60 ms", {"low": 20, "high": 60})
SLOW = Latency("200 ms", {"low": 200, "high": 200})
HEAVY = Latency(
    "20-60 ms, 2 % of them 0.5 s more", {"low": 20, "high": 60, "late_share": 0.02, "late": 500}
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One race's conditions; two requests a contact."""

    latency: Latency
    in_flight: int
    requests: int

    @property
    def title(self) -> str:
        return f"{self.requests:,} requests, {self.in_flight} in flight, {self.latency.name}"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs as a process of its own, and what it has counted since its start."""

    url: str
    pid: int

    @property
    def most_in_flight(self) -> int:
        return int(self._stats()["mostInFlight"])

    @property
    def accepted(self) -> int:
        """History requests."""
        return int(self._stats()["acceptedRequests"])

    @property
    def asked(self) -> int:
        """The same, discovery's and those that were refused included."""
        return int(self._stats()["historyRequests"])

    @property
    def cpu_seconds(self) -> float:
        """Only the lean one tells."""
        return float(self._stats()["cpuSeconds"])

    def _stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/simulator/stats", timeout=60) as reply:
            found: dict[str, Any] = json.load(reply)
        return found


@contextmanager
def server(scene: Scene) -> Iterator[Server]:
    command = [
        *(sys.executable, "-m", f"{__package__}.lean_server"),
        *("--contacts", str(scene.requests // 2), "--per-contact", str(PER_CONTACT)),
        *("--start", WINDOW.start.isoformat(), "--end", WINDOW.end.isoformat()),
        *("--latency", json.dumps(scene.latency.told)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            yield Server(ready["url"], ready["pid"])
        finally:
            process.terminate()


def pipeline_settings(url: str, root: Path, in_flight: int) -> Settings:
    return settings_of(
        environment(
            url,
            root,
            GWS_CONCURRENCY=str(in_flight),
            # the bound is the same for all, so it does not follow the server here
            GWS_CONCURRENCY_FLOOR=str(in_flight),
            GWS_NOTIFICATION_TIMEOUT="60",
            HISTORY_CUSTOM_ATTRIBUTES=ASKED_JSON,
        )
    )


def listed(settings: Settings) -> Layout:
    """A data directory that knows the contacts, as all contenders do before they ask."""
    layout = open_layout(settings)
    reading.read(settings, layout, datetime.now(UTC))
    return layout
