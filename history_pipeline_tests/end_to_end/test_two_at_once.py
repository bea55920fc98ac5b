"""Two runs at once on one data directory: one asks the server at a time, they take turns, what is
asked keeps to the bounds, and the end is what one alone would have come to."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dagster import DagsterRunStatus

from history_pipeline.model import Window
from history_pipeline.storage import contact_list, locks
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.dagster_ui.site import Site, bare_environment
from history_pipeline_tests.dagster_ui.webserver import ui
from history_pipeline_tests.end_to_end.command import Running, started
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    rows,
    run_days,
    settings_of,
    simulator,
)
from history_pipeline_tests.end_to_end.test_commands import command
from history_pipeline_tests.end_to_end.test_world import ASKED, compare

CONTACTS = 24
SPAN = Span(date(2026, 10, 1), date(2026, 10, 9), contacts=CONTACTS)
FIRST, LAST = "2026-10-01", "2026-10-08"
DAYS = ("--from", FIRST, "--to", LAST)

ASKS = """
import os, sys
from history_pipeline_tests.end_to_end.test_two_at_once import asked_by
told = {name: os.environ[name] for name in os.environ if name.startswith(("GWS_", "HISTORY_"))}
print("ready", flush=True)
sys.stdin.readline()
asked_by(told, sys.argv[1:])
"""
"""A process that asks for the windows that it is given, START.END each, one after the other."""

LISTS = """
import os, sys
from datetime import UTC, datetime
from history_pipeline.contacts import reading
from history_pipeline_tests.end_to_end.running import open_layout, settings_of
told = {name: os.environ[name] for name in os.environ if name.startswith(("GWS_", "HISTORY_"))}
settings = settings_of(told)
print("ready", flush=True)
sys.stdin.readline()
print(reading.read(settings, open_layout(settings), datetime.now(UTC)).contacts)
"""

EARLY = ("2026-10-01.2026-10-03", "2026-10-03.2026-10-05", "2026-10-05.2026-10-07")
LATE = ("2026-10-03.2026-10-06", "2026-10-06.2026-10-08", "2026-10-08.2026-10-09")


def asked_by(told: dict[str, str], days: list[str]) -> None:
    """Runs, one for each window."""
    for each in days:
        start, end = map(date.fromisoformat, each.split("."))
        run_days(settings_of(told), Window(start, end))


def told_to(url: str, root: Path, **more: str) -> dict[str, str]:
    return environment(
        url,
        root,
        HISTORY_START_DATE=FIRST,
        HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
        # nothing is lost here, and nothing may be asked twice because the machine is busy
        GWS_NOTIFICATION_TIMEOUT="30",
        **more,
    )


@contextmanager
def at_once(
    code: str, told: dict[str, str], *arguments: tuple[str, ...]
) -> Iterator[list[subprocess.Popen[str]]]:
    """A process for each tuple of arguments; they begin together, once all are up."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", code, *each],
                    env={**bare_environment(), **told},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for each in arguments
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            yield processes
        finally:
            for process in processes:
                process.kill()


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/simulator/stats", timeout=10) as reply:
        return dict(json.load(reply))


def ledger_adds_up(layout: Layout) -> None:
    """Each run's window accounts for every contact, and what is summed is what is written down."""
    wrong = rows(
        layout,
        """
        select run_id from raw_gws.runs
        where planned <> answered + unavailable + gone + failed or planned <> answered
        union all
        select run_id from raw_gws.runs join (
            select run_id, window_start, source, count(*) as requests, sum(interactions) as found
            from raw_gws.requests group by all
        ) using (run_id, window_start, source)
        where requests <> planned or found <> interactions
        """,
    )
    assert wrong == []


# -- what is asked -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("contacts", ["gws", "activity"])
def test_runs_take_turns_and_no_second_holds_more_than_is_configured(
    contacts: str, tmp_path: Path
) -> None:
    a_second = 40
    pace = {"GWS_REQUESTS_PER_SECOND": str(a_second), "HISTORY_CONTACTS": contacts}
    with simulator(SPAN, "--latency", "1,10") as url:
        told = told_to(url, tmp_path, **pace)
        with at_once(ASKS, told, EARLY, LATE) as runs:
            assert [process.wait(120) for process in runs] == [0, 0]
        seen = stats(url)
    assert 0.7 * a_second < seen["mostAskedPerSecond"] <= a_second
    assert seen["inFlight"] == 0
    layout = Layout(tmp_path)
    compare(layout, SPAN, SPAN.start, SPAN.end)
    ledger_adds_up(layout)
    windows = [ledger.name.partition(".")[2] for ledger in layout.window_ledgers()]
    assert sorted(windows) == sorted((*EARLY, *LATE)), "each run was one of its own"
    assert not list(layout.scratch.iterdir())


@pytest.mark.slow
def test_no_more_are_in_flight_than_is_configured_however_many_run(tmp_path: Path) -> None:
    with simulator(SPAN, "--latency", "100,200") as url:
        told = told_to(url, tmp_path, GWS_CONCURRENCY="8")
        with at_once(ASKS, told, EARLY, LATE) as runs:
            assert [process.wait(120) for process in runs] == [0, 0]
        assert stats(url)["mostInFlight"] == 8
    compare(Layout(tmp_path), SPAN, SPAN.start, SPAN.end)


@pytest.mark.slow
def test_two_that_list_contacts_at_once_both_list_all_at_the_rate_of_one(tmp_path: Path) -> None:
    crowd = Span(date(2026, 10, 1), date(2026, 10, 3), contacts=3_000)
    with simulator(crowd) as url:
        told = told_to(url, tmp_path, GWS_REQUESTS_PER_SECOND="10")
        with at_once(LISTS, told, (), ()) as runs:
            assert [process.communicate(timeout=60)[0] for process in runs] == ["3000\n"] * 2
        seen = stats(url)
    assert seen["operations"]["GET /api/v2/contacts"] == 28, "two passes each, of 7 pages"
    assert 5 <= seen["mostAskedPerSecond"] <= 10
    layout = Layout(tmp_path)
    assert len(contact_list.current_ids(layout)) == 3_000
    assert pq.read_metadata(layout.contacts).num_rows == 3_000
    assert not list(layout.scratch.iterdir())


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A server, and a data directory that has its contacts' list."""
    with simulator(SPAN) as url:
        told = told_to(url, tmp_path / "data")
        with at_once(LISTS, told, ()) as (lists,):
            assert lists.wait(60) == 0
        yield url, told


@pytest.mark.slow
def test_while_somebody_asks_check_and_plan_ask_nothing_and_name_the_other(
    listed: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    url, told = listed
    before = stats(url)["operations"]
    with locks.exclusive(Layout(tmp_path / "data").extraction_lock, "extracting", 0):
        check = command(told, "check", cwd=tmp_path)
        plan = command(told, "plan", *DAYS, cwd=tmp_path)
    assert (check.returncode, plan.returncode) == (0, 0), check.stdout + plan.stderr
    for done in (check, plan):
        assert "(extracting)" in done.stdout
    assert check.stdout.count("✓") == 3, "configuration, login and channel"
    assert f"contacts  {CONTACTS}" in plan.stdout
    after = stats(url)["operations"]
    for operation in ("RetrieveContactHistory", "GET /api/v2/contacts"):
        assert after.get(operation, 0) == before.get(operation, 0)


# -- commands ------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path, seed_dbt: Callable[[Path], None]) -> Iterator[Site]:
    seed_dbt(tmp_path / "data")
    with simulator(SPAN, "--latency", "1,10") as url:
        pace = {"GWS_REQUESTS_PER_SECOND": "40", "HISTORY_WINDOW_DAYS": "2"}
        yield Site(tmp_path, told_to(url, tmp_path / "data", **pace))


@contextmanager
def backfill(site: Site, name: str, *days: str) -> Iterator[Running]:
    place = site.root / name
    place.mkdir()
    with started(("backfill", *(days or DAYS)), site.environment(), place) as running:
        yield running


@pytest.mark.slow
def test_of_two_equal_backfills_one_runs_and_the_other_names_it(site: Site) -> None:
    site.told["HISTORY_WINDOW_DAYS"] = "4"
    with backfill(site, "one") as one, backfill(site, "other") as other:
        ended = {one: one.status(), other: other.status()}
    first, second = sorted(ended, key=ended.__getitem__)
    assert (ended[first], ended[second]) == (0, 4), one.screen() + other.screen()
    assert f"process {first.process.pid} (" in second.screen()
    assert "going on with run" not in second.screen()
    assert stats(site.told["GWS_URL"])["operations"]["RetrieveContactHistory"] == CONTACTS * 2 * 2
    compare(site.layout, SPAN, SPAN.start, SPAN.end)
    ledger_adds_up(site.layout)
    assert len(list(site.layout.attempts.iterdir())) == 1
    whole = "select count(*), count(distinct interaction_id) from marts.interactions"
    assert rows(site.layout, whole, site.layout.published) == rows(site.layout, whole)


@pytest.mark.slow
def test_the_daily_run_gets_in_between_two_windows_of_a_long_backfill(site: Site) -> None:
    days = {
        "dagster/asset_partition_range_start": "2026-10-07",
        "dagster/asset_partition_range_end": "2026-10-08",
    }
    url = site.told["GWS_URL"]
    with ui(site) as opened, backfill(site, "long") as long:
        long.until(lambda: stats(url)["operations"].get("RetrieveContactHistory", 0) > CONTACTS)
        daily = opened.launch("daily", tags=days)
        assert opened.run_ended(daily) == "SUCCESS"
        assert long.status() == 0, long.screen()
    assert {run.status for run in site.runs()} == {DagsterRunStatus.SUCCESS}
    ended = rows(
        site.layout,
        "select run_id, max(finished_at) as ended from raw_gws.runs "
        "group by run_id, window_start order by ended",
    )
    runs = [run_id for run_id, _ in ended]
    assert len(runs) == 5 and runs[0] == runs[-1], "in between"
    assert sorted(map(runs.count, set(runs))) == [1, 4]
    compare(site.layout, SPAN, SPAN.start, SPAN.end)
    ledger_adds_up(site.layout)
    seen = stats(url)
    assert seen["mostAskedPerSecond"] <= 40
    assert seen["mostInFlight"] <= int(site.told["GWS_CONCURRENCY"])
