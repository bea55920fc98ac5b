"""A simulator process, and the pipeline pointed at it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from history_pipeline.contacts import reading
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.history.extraction import Extraction, extract
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline.simulator.world import World
from history_pipeline.storage import identity, warehouse
from history_pipeline.storage.layout import Layout

USERNAME, PASSWORD = "pipeline", "pâss wörd 密"


@dataclass(frozen=True, slots=True)
class Span:
    """The days and the size of a world; the simulator and the oracle are given the same."""

    start: date
    end: date
    zone: str = "Europe/Berlin"
    seed: int = 1
    contacts: int = 60
    giant: int = 0

    def world(self) -> World:
        return World(
            seed=self.seed,
            contacts=self.contacts,
            start=self.start,
            end=self.end,
            zone=self.zone,
            giant_interactions=self.giant,
        )

    def flags(self) -> list[str]:
        return [
            *("--seed", str(self.seed), "--contacts", str(self.contacts), "--zone", self.zone),
            *("--start", self.start.isoformat(), "--end", self.end.isoformat()),
            *("--giant-interactions", str(self.giant)),
        ]


@contextmanager
def simulator(span: Span, *flags: str, port: int = 0) -> Iterator[str]:
    """The URL of a simulator that runs as a process of its own."""
    with simulator_process(span, *flags, port=port) as ready:
        yield ready["url"]


@contextmanager
def simulator_process(span: Span, *flags: str, port: int = 0) -> Iterator[dict[str, Any]]:
    """What the process says when it is ready: its `url` and its `pid`."""
    command = [
        *(sys.executable, "-m", "history_pipeline.simulator", "--exit-with-parent"),
        *("--port", str(port), "--username", USERNAME, "--password", PASSWORD),
        *span.flags(),
        *flags,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def environment(
    url: str, data_dir: Path, zone: str = "Europe/Berlin", **more: str
) -> dict[str, str]:
    """What an operator would set, with a pace for tests."""
    return {
        "GWS_URL": url,
        "GWS_USERNAME": USERNAME,
        "GWS_PASSWORD": PASSWORD,
        "GWS_TIMEZONE": zone,
        "GWS_CONCURRENCY": "16",
        "GWS_REQUESTS_PER_SECOND": "0",
        "GWS_NOTIFICATION_TIMEOUT": "1",
        "HISTORY_CONTACTS": "gws",
        "HISTORY_DATA_DIR": str(data_dir),
        **more,
    }


def settings_of(told: dict[str, str]) -> Settings:
    return Settings(_env_file=None, **told)  # type: ignore[call-arg]


def open_layout(settings: Settings) -> Layout:
    return identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)


def run_days(
    settings: Settings,
    days: Window,
    now: datetime | None = None,
    patience: float = PATIENCE,
    run_id: str | None = None,
) -> Extraction:
    """Contacts, history and warehouse for these days; no Dagster, no dbt. With `run_id` they are
    a part of that attempt, which stays open."""
    layout = open_layout(settings)
    moment = now or datetime.now(UTC)
    reading.read(settings, layout, moment)
    extraction = asyncio.run(extract(settings, layout, days, run_id=run_id, patience=patience))
    warehouse.load(layout, moment)
    return extraction


def rows(layout: Layout, query: str, path: Path | None = None) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path or layout.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()
