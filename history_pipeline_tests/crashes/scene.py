"""A server, and data directories in which a run is killed and run again."""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from history_pipeline.storage import attempts
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.crashes.kills import AtMoment, Kill, calls_of
from history_pipeline_tests.end_to_end.running import Span, environment, simulator
from history_pipeline_tests.end_to_end.test_commands import base_environment
from history_pipeline_tests.end_to_end.test_interrupted import Content, content

CONTACTS = 60
PLANNED = 2 * CONTACTS
A_SECOND, IN_FLIGHT = 30, 4
MOST_ASKED_AGAIN = IN_FLIGHT + 2 * A_SECOND
"""After one kill: those in flight, and those of the last two seconds."""

SPAN = Span(date(2026, 10, 1), date(2026, 10, 11), contacts=CONTACTS)
PYTHON = (sys.executable, "-W", "ignore")
STEP = [
    *(*PYTHON, "-m", "history_pipeline_tests.crashes.step"),
    *(SPAN.start.isoformat(), SPAN.end.isoformat()),
]
COMMAND = [
    *(*PYTHON, "-c", "from history_pipeline.cli import run; run()", "backfill"),
    *("--from", SPAN.start.isoformat(), "--to", (SPAN.end - timedelta(days=1)).isoformat()),
]
NEVER = AtMoment(10_000.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run that was killed so often; `asked_again` are requests."""

    kills: int
    asked_again: int
    content: Content


@dataclass(slots=True)
class Scene:
    """`begun` is a data directory that holds main alone; the run that is killed asks both sources
    over it, so that it finds day files to replace and versions to keep."""

    work: list[str]
    url: str
    begun: Path
    undisturbed: Content
    seconds: float
    calls: Counter[str]

    def killed(self, kills: Sequence[Kill], cwd: Path) -> Outcome:
        """Runs it, killed as told, and then to its end where it has not come to it."""
        root = copied(self.begun, cwd / "data", self.url)
        layout, told, before = Layout(root), told_to(self.url, root), asked(self.url)
        times = 0
        for kill in (*kills, NEVER):
            times += kill.run(self.work, told, cwd)
            if all(attempt.is_finished for attempt in _attempts(layout)):
                break
        again = asked(self.url) - before - PLANNED
        return Outcome(times, again, content(layout.published))


@contextmanager
def scene(home: Path, *, traced: bool, work: list[str] = STEP) -> Iterator[Scene]:
    with simulator(SPAN) as url:
        begun = home / "begun"
        assert not NEVER.run(work, told_to(url, begun, HISTORY_SOURCES="main"), home)
        whole, started = copied(begun, home / "whole", url), time.monotonic()
        assert not NEVER.run(work, told_to(url, whole), home)
        seconds = time.monotonic() - started
        calls: Counter[str] = Counter()
        if traced:
            calls = calls_of(work, told_to(url, copied(begun, home / "traced", url)), home)
        yield Scene(work, url, begun, content(Layout(whole).published), seconds, calls)


def _attempts(layout: Layout) -> list[Attempt]:
    """Of both runs; the second may not have come so far as to begin one."""
    found = list(attempts.every(layout))
    return found if len(found) > 1 else [replace(found[0], is_finished=False)]


def told_to(url: str, root: Path, **more: str) -> dict[str, str]:
    pace = {
        "GWS_CONCURRENCY": str(IN_FLIGHT),
        "GWS_REQUESTS_PER_SECOND": str(A_SECOND),
        "GWS_NOTIFICATION_TIMEOUT": "30",
        "HISTORY_CUSTOM_ATTRIBUTES": json.dumps(list(SPAN.world().attribute_names)),
    }
    return base_environment() | environment(url, root) | pace | more


def copied(root: Path, to: Path, url: str) -> Path:
    """A copy that belongs to this server: another one with the same world may have made it."""
    shutil.copytree(root, to)
    known = Layout(to).identity
    known.write_text(json.dumps(json.loads(known.read_text()) | {"server": url}))
    return to


def asked(url: str) -> int:
    with urllib.request.urlopen(f"{url}/simulator/stats", timeout=10) as reply:
        return int(json.load(reply)["operations"].get("RetrieveContactHistory", 0))
