"""The server and the world that all contenders are given."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from history_pipeline.contacts import reading
from history_pipeline.model import Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    settings_of,
    simulator,
)

WINDOW = Window(date(2026, 9, 1), date(2026, 10, 1))
SOURCES = (Source.MAIN, Source.ARCHIVE)
ASKED = ("OrderNo", "Segment")

# what costs a contender nothing that keeps nothing would only blur the comparison: every record
# can be read, and each interaction is one contact's
_WORLD = ("--unreadable-share", "0", "--merged-share", "0", "--interactions-per-contact", "20")


@dataclass(frozen=True, slots=True)
class Latency:
    """From acceptance to notification."""

    name: str
    flags: tuple[str, ...]


FAST = Latency("1-3 ms", ("--latency", "1,3"))
USUAL = Latency("20-60 ms", ("--latency", "20,60"))
SLOW = Latency("200 ms", ("--latency", "200"))
HEAVY = Latency(
    "20-60 ms, 2 % of them 0.5 s more",
    ("--latency", "20,60", "--late-share", "0.02", "--late-seconds", "0.5"),
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


@contextmanager
def server(scene: Scene) -> Iterator[str]:
    """The URL of a simulator that runs as a process of its own."""
    span = Span(WINDOW.start, WINDOW.end, contacts=scene.requests // 2)
    with simulator(span, *_WORLD, *scene.latency.flags) as url:
        yield url


def most_in_flight(url: str) -> int:
    """As counted at the server, since it started."""
    with urllib.request.urlopen(f"{url}/simulator/stats", timeout=30) as reply:
        return int(json.load(reply)["mostInFlight"])


def pipeline_settings(url: str, root: Path, in_flight: int) -> Settings:
    return settings_of(
        environment(
            url,
            root,
            GWS_CONCURRENCY=str(in_flight),
            GWS_NOTIFICATION_TIMEOUT="60",
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
        )
    )


def listed(settings: Settings) -> Layout:
    """A data directory that knows the contacts, as all contenders do before they ask."""
    layout = open_layout(settings)
    reading.read(settings, layout, datetime.now(UTC))
    return layout
