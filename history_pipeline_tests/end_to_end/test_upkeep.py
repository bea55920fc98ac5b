"""The commands that look after what is there: --only-failed, plan, rebuild, forget, rejects."""

from __future__ import annotations

import json
import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    PASSWORD,
    USERNAME,
    Span,
    environment,
    rows,
    simulator,
)
from history_pipeline_tests.end_to_end.test_commands import command

SPAN = Span(date(2026, 10, 1), date(2026, 10, 8), contacts=25)
WORLD = ("--unreadable-share", "0.05")
DAYS = ("--from", "2026-10-01", "--to", "2026-10-05")

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Home:
    """A data directory after a backfill whose archive was absent."""

    root: Path
    port: int

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def told(self, **more: str) -> dict[str, str]:
        return environment(f"http://127.0.0.1:{self.port}", self.root, **more)

    def run(self, *arguments: str, **more: str) -> str:
        done = command(self.told(**more), *arguments, cwd=self.root.parent)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def published(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.layout, query, self.layout.published)


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Iterator[Home]:
    root = tmp_path_factory.mktemp("filled") / "data"
    root.mkdir()
    seed_dbt(root)
    with simulator(SPAN, *WORLD, "--no-archive") as url:
        home = Home(root, int(url.rpartition(":")[2]))
        home.run("backfill", *DAYS)
    yield home


@pytest.fixture
def home(filled: Home, tmp_path: Path) -> Home:
    shutil.copytree(filled.root, tmp_path / "data")
    return Home(tmp_path / "data", filled.port)


def states(home: Home) -> set[tuple[str, str, bool]]:
    return set(
        home.published(
            "select source, case when requests_unavailable > 0 then 'unavailable' else 'answered' "
            "end, is_complete from marts.data_completeness"
        )
    )


def test_an_archive_that_becomes_available_is_asked_by_only_failed(home: Home) -> None:
    assert states(home) == {("main", "answered", True), ("archive", "unavailable", True)}
    assert "unavailable" in home.run("status")
    with simulator(SPAN, *WORLD, port=home.port):
        told = home.run("backfill", *DAYS, "--only-failed")
        # every archive, and one contact's main as a witness
        assert "26 requests planned = 26 answered" in told
        assert states(home) == {("main", "answered", True), ("archive", "answered", True)}
        assert "nothing is left to ask" in home.run("backfill", *DAYS, "--only-failed")


def test_a_plan_foretells_what_a_backfill_asks_and_asks_no_history(home: Home) -> None:
    with simulator(SPAN, *WORLD, port=home.port):
        told = home.run("plan", *DAYS)
    assert "contacts  25" in told
    assert "requests  50 (main, archive)" in told
    assert "time      about" in told
    assert "bytes     about" in told


def test_a_rebuilt_warehouse_equals_the_one_it_replaces(home: Home) -> None:
    queries = [
        f"from {table} order by all"
        for table in (
            "raw_gws.interactions", "raw_gws.interaction_attributes", "raw_gws.contacts",
            "raw_gws.interaction_versions", "raw_gws.runs", "raw_gws.requests", "raw_gws.rejects",
            "raw_gws.coverage",
            "marts.interactions", "marts.contacts", "marts.data_completeness",
        )
    ]  # fmt: skip
    before = [home.published(query) for query in queries]
    home.layout.warehouse.unlink()
    assert "interactions loaded from" in home.run("rebuild")
    assert [home.published(query) for query in queries] == before


def test_a_changed_zone_is_refused_until_a_rebuild(home: Home) -> None:
    zone = {"GWS_TIMEZONE": "America/New_York"}
    refused = command(home.told() | zone, "status", cwd=home.root.parent)
    assert refused.returncode == 2
    assert "history-pipeline rebuild" in refused.stderr
    assert (
        "days cut anew in America/New_York"
        in command(home.told() | zone, "rebuild", cwd=home.root.parent).stdout
    )
    wrong = home.published("""
        select count(*) from raw_gws.interactions
        where window_date <> (started_at at time zone 'America/New_York')::date
    """)
    assert wrong == [(0,)]
    assert command(home.told() | zone, "status", cwd=home.root.parent).returncode == 0


def test_a_forgotten_contact_is_nowhere_and_no_run_brings_it_back(home: Home) -> None:
    ((contact, first),) = home.published("""
        select contact_id, min(interaction_id) from raw_gws.interactions
        group by contact_id order by count(*) desc limit 1
    """)
    traces = (contact, first)
    assert all(trace in everything(home.root) for trace in traces)
    told = home.run("forget", contact)
    assert "removed from contacts: 1" in told
    assert contact not in told
    assert [trace for trace in traces if trace in everything(home.root)] == []
    with simulator(SPAN, *WORLD, port=home.port):
        assert "48 requests planned" in home.run("backfill", *DAYS)
    assert [trace for trace in traces if trace in everything(home.root)] == []


def test_no_secret_is_anywhere(home: Home) -> None:
    kept = everything(home.root)
    basic = b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, PASSWORD.encode().decode("latin-1"), json.dumps(PASSWORD), basic):
        assert secret not in kept
    assert "JSESSIONID" not in kept


def test_rejects_are_counted_by_reason(home: Home) -> None:
    held = home.published("select count(*) from raw_gws.rejects where resolved_at is null")[0][0]
    told = home.run("rejects")
    assert held > 0, "the world has records that cannot be read"
    counts = [int(cell) for line in told.splitlines() for cell in line.split("│")[3:4]
              if cell.strip().isdigit()]  # fmt: skip
    assert sum(counts) == held
    assert f"{held} records read again: 0 landed" in home.run("rejects", "--replay")


def everything(root: Path) -> str:
    """Every byte of a data directory, and every value of what is packed."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        found.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            found.append(repr(pq.read_table(path).to_pylist()))
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                names = connection.execute(
                    "select schema_name || '.' || table_name from duckdb_tables()"
                ).fetchall()
                found += [repr(connection.execute(f"from {name}").fetchall()) for (name,) in names]
    return os.linesep.join(found)
