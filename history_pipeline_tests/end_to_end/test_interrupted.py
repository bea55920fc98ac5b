"""`backfill` stopped at any moment, by a kill, by SIGTERM or by Ctrl-C: gone within ten seconds,
and the same command goes on from there and ends as an undisturbed one does."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
from dagster import DagsterRunStatus

from history_pipeline.contacts import reading
from history_pipeline.history.opening import open_rest
from history_pipeline.model import Window
from history_pipeline.storage import parts
from history_pipeline_tests.dagster_ui.site import Site
from history_pipeline_tests.end_to_end import command
from history_pipeline_tests.end_to_end.command import CTRL_C, Running
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    rows,
    run_days,
    settings_of,
    simulator,
)

CONTACTS = 90
PLANNED = CONTACTS * 2
SPAN = Span(date(2026, 10, 1), date(2026, 10, 11), contacts=CONTACTS)
BACKFILL = ("backfill", "--from", "2026-10-01", "--to", "2026-10-10")

A_SECOND, IN_FLIGHT = 35, 4
TWO_SECONDS_WORK = 2 * A_SECOND
ENOUGH = 130
"""Requests after which the asking is interrupted: more than two seconds' work, and not all."""

GONE_WITHIN = 10.0

TIMES = {
    "first_seen_at", "last_seen_at", "unchanged_since", "superseded_at", "seen_at", "finished_at",
    "run_id", "seconds", "loaded_at", "seen_from", "seen_until", "asked_at",
}  # fmt: skip
"""Columns that say when something was seen, or in which run."""

Content = dict[str, list[tuple[str, ...]]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with simulator(SPAN) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(
    url: str, tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Content:
    """What a backfill that nobody interrupts ends with."""
    site = made(tmp_path_factory.mktemp("undisturbed"), url, seed_dbt)
    with backfill(site) as running:
        assert running.status() == 0, running.screen()
    assert asked(site) == PLANNED
    found = content(site.layout.published)
    assert len(found["marts.interactions"]) > 1000
    return found


@pytest.fixture
def site(undisturbed: Content, url: str, tmp_path: Path, seed_dbt: Callable[[Path], None]) -> Site:
    return made(tmp_path, url, seed_dbt)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_and_ends_as_if_undisturbed(
    site: Site, undisturbed: Content
) -> None:
    before = asked(site)
    with backfill(site) as running:
        running.until(lambda: asked(site) >= before + ENOUGH)
        running.kill_all()
        assert running.status() == -signal.SIGKILL
    killed, kept = asked(site) - before, settled(site)
    assert killed - kept <= TWO_SECONDS_WORK + IN_FLIGHT
    for moment in (is_compacting, is_loading):
        with backfill(site) as running:
            running.until(lambda moment=moment: moment(site))
            running.kill_all()
            assert running.status() == -signal.SIGKILL
    with backfill(site) as running:
        running.until(lambda: is_in_dbt(site))
        running.process.kill()
        assert running.status() == -signal.SIGKILL
        assert running.left_behind() == [], "dbt goes with it, even where it is killed alone"
    with backfill(site) as running:
        assert running.status() == 0, running.screen()
        assert "going on with run" in running.screen()
    assert asked(site) - before == killed + PLANNED - kept, "nothing that was kept is asked again"
    assert content(site.layout.warehouse) == content(site.layout.published) == undisturbed
    ended = [run.status for run in site.runs() if "interactions" in str(run.asset_selection)]
    assert ended.count(DagsterRunStatus.SUCCESS) == 1
    assert set(ended) == {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE}


@pytest.mark.slow
def test_told_to_stop_at_any_moment_it_is_gone_and_goes_on_and_ends_as_if_undisturbed(
    site: Site, undisturbed: Content
) -> None:
    before, farewells = asked(site), operations(site)["/meta/disconnect"]
    for moment in (lambda _: asked(site) >= before + ENOUGH, is_loading, is_in_dbt):
        with backfill(site) as running:
            running.until(lambda moment=moment: moment(site))
            running.process.send_signal(signal.SIGTERM)
            assert running.status(GONE_WITHIN) == 128 + signal.SIGTERM
            assert "goes on from there" in running.screen()
            assert "Traceback" not in running.screen()
            assert running.left_behind() == []
        if not is_loading(site):
            farewells += 1
            assert operations(site)["/meta/disconnect"] == farewells
            stopped, kept = asked(site) - before, settled(site)
            assert stopped - kept <= IN_FLIGHT, "the part at hand was finished"
    with backfill(site) as running:
        assert running.status() == 0, running.screen()
    assert asked(site) - before == stopped + PLANNED - kept, "nothing that was kept is asked again"
    assert content(site.layout.warehouse) == content(site.layout.published) == undisturbed


@pytest.mark.slow
def test_only_failed_killed_goes_on_with_its_own_rest_and_asks_nobody_who_came_in_between(
    undisturbed: Content, url: str, tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    ids = sorted(contact.contact_id for contact in SPAN.world().contacts())
    site = made(tmp_path, url, seed_dbt, HISTORY_CONTACTS=f"file:{tmp_path / 'ids.csv'}")
    few, more, late = 10, 85, len(ids)
    list_contacts(site, ids[:few])
    days = Window(SPAN.start, SPAN.end)
    settings = settings_of(site.told)
    run_days(settings, days)
    list_contacts(site, ids[:more])
    before, planned = asked(site), 2 * (more - few + 1)
    with backfill(site, "--only-failed") as running:
        running.until(lambda: asked(site) >= before + planned - 50)
        running.kill_all()
        assert running.status() == -signal.SIGKILL
    killed, kept = asked(site) - before, settled(site)
    assert killed - kept <= TWO_SECONDS_WORK + IN_FLIGHT
    assert kept > 0
    list_contacts(site, ids)
    with backfill(site, "--only-failed") as running:
        assert running.status() == 0, running.screen()
        assert "going on with run" in running.screen()
        assert f"{planned} requests planned = {planned} answered" in running.screen()
    assert asked(site) - before == killed + planned - kept, "nothing that was kept is asked again"
    standing = "select count(distinct contact_id) from raw_gws.coverage"
    assert rows(site.layout, standing, site.layout.published) == [(more,)]
    incomplete = "select count(*) from marts.data_completeness where not is_complete"
    assert rows(site.layout, incomplete, site.layout.published) == [(0,)], "the list was frozen"

    reading.read(settings, site.layout, datetime.now(UTC))
    rest = asyncio.run(open_rest(settings, site.layout, days))
    assert rest is not None
    assert rest.contacts == late - more + 1, "those who came in between, and a witness"
    run_days(settings, days, run_id=rest.run_id)
    whole = content(site.layout.warehouse)
    assert whole["raw_gws.coverage"] == undisturbed["raw_gws.coverage"]
    assert len(whole["raw_gws.interactions"]) == len(undisturbed["raw_gws.interactions"])


@pytest.mark.slow
def test_ctrl_c_ends_it_quietly_with_status_130(site: Site) -> None:
    before = asked(site)
    for moment in (lambda _: asked(site) >= before + ENOUGH, is_in_dbt):
        with command.on_a_terminal(BACKFILL, site.environment(), site.root) as (running, press):
            running.until(lambda moment=moment: moment(site))
            press(CTRL_C)
            assert running.status(GONE_WITHIN) == 128 + signal.SIGINT
            assert running.left_behind() == []
        assert "goes on from there" in running.screen()
        assert "Traceback" not in running.screen()
        assert running.screen().count("\x1b[?25h") == running.screen().count("\x1b[?25l")


def made(root: Path, url: str, seed_dbt: Callable[[Path], None], **more: str) -> Site:
    seed_dbt(root / "data")
    told = environment(
        url,
        root / "data",
        HISTORY_START_DATE="2026-10-01",
        HISTORY_CUSTOM_ATTRIBUTES=json.dumps(list(SPAN.world().attribute_names)),
    )
    pace = {
        "GWS_CONCURRENCY": str(IN_FLIGHT),
        "GWS_REQUESTS_PER_SECOND": str(A_SECOND),
        "GWS_NOTIFICATION_TIMEOUT": "30",
    }
    return Site(root, told | pace | more)


def backfill(site: Site, *more: str) -> AbstractContextManager[Running]:
    return command.started((*BACKFILL, *more), site.environment(), site.root)


def list_contacts(site: Site, ids: list[str]) -> None:
    (site.root / "ids.csv").write_text("\n".join(["contact_id", *ids, ""]))


# -- what can be seen from outside ---------------------------------------------------------------


def is_compacting(site: Site) -> bool:
    return any(site.layout.days.rglob("[0-9]*.parquet"))


def is_loading(site: Site) -> bool:
    return site.layout.warehouse.exists()


def is_in_dbt(site: Site) -> bool:
    log = site.layout.dbt / "target" / "dbt.log"
    return log.exists() and "OK created" in log.read_text()


def operations(site: Site) -> dict[str, int]:
    with urllib.request.urlopen(f"{site.told['GWS_URL']}/simulator/stats", timeout=10) as reply:
        return dict(json.load(reply)["operations"])


def asked(site: Site) -> int:
    return operations(site).get("RetrieveContactHistory", 0)


def settled(site: Site) -> int:
    """Requests whose end stands in a part that is whole."""
    windows = site.layout.attempts.glob("*/parts/*")
    return sum(parts.settled(window).num_rows for window in windows)


def content(path: Path) -> Content:
    """Every row of every table and view, without what says when it was seen and in which run."""
    found: Content = {}
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_name not in ('loaded_files', 'load_state')"
        ).fetchall()
        for schema, name in tables:
            ours = TIMES | ({"started_at"} if "run" in name else set())
            result = connection.execute(f"select * from {schema}.{name}")
            columns = [column[0] for column in result.description]
            kept = [place for place, column in enumerate(columns) if column not in ours]
            rows = result.fetchall()
            found[f"{schema}.{name}"] = sorted(tuple(repr(row[n]) for n in kept) for row in rows)
    return found
