"""Runs from the UI, through the daemon: whatever way it splits them, the end is the same."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.defs import home
from history_pipeline_tests.dagster_ui.site import Site, history_requests
from history_pipeline_tests.dagster_ui.webserver import Ui, ui
from history_pipeline_tests.end_to_end.running import Span, environment, rows, simulator

CONTACTS = 10
SPAN = Span(date(2026, 10, 1), date(2026, 10, 6), contacts=CONTACTS)
DAYS = [f"2026-10-0{n}" for n in range(1, 6)]
WINDOWS = [DAYS[:3], DAYS[3:]]
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
FOUR_O_CLOCK = datetime(2026, 10, 6, 4, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with simulator(SPAN) as url:
        yield url


@pytest.fixture(scope="module")
def opened(
    server: str, tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Iterator[Ui]:
    root = tmp_path_factory.mktemp("site")
    told = environment(
        server, root / "data", HISTORY_START_DATE="2026-10-01", HISTORY_WINDOW_DAYS="3"
    )
    seed_dbt(root / "data")
    with ui(Site(root, told)) as running:
        yield running


@pytest.fixture(scope="module")
def launched(opened: Ui) -> str:
    """A backfill of every asset over five days, from the UI, in an instance that was empty."""
    return opened.launch_backfill(opened.assets(), DAYS)


@pytest.fixture(scope="module")
def backfilled(opened: Ui, launched: str) -> dict[str, Any]:
    return opened.backfill_ended(launched)


@pytest.mark.browser
def test_the_asset_graph_shows_every_asset_by_name(
    opened: Ui, launched: str, tmp_path: Path
) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    page = subprocess.run(
        [
            CHROMIUM,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *(f"--user-data-dir={tmp_path}", "--window-size=1800,1200"),
            *("--virtual-time-budget=20000", "--dump-dom", f"{opened.url}/asset-groups"),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    for path in opened.assets():
        assert path[-1] in page, path


def test_a_backfill_from_the_ui_is_split_and_succeeds(backfilled: dict[str, Any]) -> None:
    assert backfilled["status"] == "COMPLETED_SUCCESS"
    assert {run["status"] for run in backfilled["runs"]} == {"SUCCESS"}
    sizes = sorted(len(run["assetSelection"]) for run in backfilled["runs"])
    assert sizes[:-1] == [1, 1, 1], "contacts, and a run for each window"
    asking = [tags for tags in map(tags_of, backfilled["runs"]) if RANGE[0] in tags]
    assert sorted(tuple(tags[name] for name in RANGE) for tags in asking) == [
        (window[0], window[-1]) for window in WINDOWS
    ]


def test_each_window_is_asked_for_once(backfilled: dict[str, Any], opened: Ui, server: str) -> None:
    planned = [
        shown["requests planned"] for shown in opened.site.materializations("interactions").values()
    ]
    assert planned == [CONTACTS * 2] * len(DAYS)
    assert history_requests(server) >= CONTACTS * 2 * len(WINDOWS)


def test_the_published_file_shows_all_that_the_lake_holds(
    backfilled: dict[str, Any], opened: Ui
) -> None:
    layout = opened.site.layout
    lake = f"read_parquet('{layout.days}/*/*.parquet')"
    ((held,),) = rows(layout, f"select count(distinct interaction_id) from {lake}")
    for table in ("raw_gws.interactions", "marts.interactions"):
        for path in (layout.warehouse, layout.published):
            assert rows(layout, f"select count(*) from {table}", path) == [(held,)]
    assert held > CONTACTS
    complete = "select count(*) from marts.data_completeness where is_complete"
    assert rows(layout, complete, layout.published) == [(len(DAYS) * 2,)]


def test_runs_of_the_daemon_say_which_process_they_are_in(
    backfilled: dict[str, Any], opened: Ui
) -> None:
    for run in opened.site.runs():
        assert run.tags[home.PROCESS_TAG].startswith(run.run_id[:8])


def test_a_run_executed_again_asks_anew_for_its_own_days(
    backfilled: dict[str, Any], opened: Ui, server: str
) -> None:
    (run,) = [run for run in backfilled["runs"] if (RANGE[0], DAYS[0]) in tags_of(run).items()]
    asked = history_requests(server)
    assert opened.run_ended(opened.re_execute(run["id"], "ALL_STEPS")) == "SUCCESS"
    assert history_requests(server) == asked + CONTACTS * 2


def test_the_daily_schedules_run_goes_through_the_daemon_and_changes_only_when_rows_were_seen(
    backfilled: dict[str, Any], opened: Ui, server: str
) -> None:
    (tags,) = opened.evaluate_schedule("daily_backfill", FOUR_O_CLOCK)
    assert tuple(tags[name] for name in RANGE) == (DAYS[0], DAYS[-1])
    before, asked = contents(opened.site), history_requests(server)
    assert opened.run_ended(opened.launch("daily", tags=tags)) == "SUCCESS"
    assert history_requests(server) == asked + CONTACTS * 2 * len(WINDOWS)
    after = contents(opened.site)
    assert after["rows"] == before["rows"]
    assert after["seen"] > before["seen"]


def test_the_daily_schedule_goes_back_to_the_first_incomplete_day(
    backfilled: dict[str, Any], opened: Ui
) -> None:
    two_weeks_on = FOUR_O_CLOCK + 14 * 86_400
    (tags,) = opened.evaluate_schedule("daily_backfill", two_weeks_on)
    assert tuple(tags[name] for name in RANGE) == ("2026-10-06", "2026-10-19")


def test_publishing_by_itself_after_a_load_by_itself_shows_all_that_is_loaded(
    backfilled: dict[str, Any], opened: Ui
) -> None:
    loaded = opened.launch(assets=["contacts", "warehouse"])
    assert opened.run_ended(loaded) == "SUCCESS"
    state = "select loads, modelled from raw_gws.load_state"
    ((loads, modelled),) = rows(opened.site.layout, state)
    assert loads > modelled
    assert opened.run_ended(opened.launch(assets=["published"])) == "SUCCESS"
    assert rows(opened.site.layout, state, opened.site.layout.published) == [(loads, loads)]


def tags_of(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def contents(site: Site) -> dict[str, Any]:
    """What analysts read, and the oldest moment at which an interaction was seen last."""
    layout = site.layout
    queries = (
        "select * exclude (last_seen_at) from raw_gws.interactions order by all",
        "from raw_gws.interaction_attributes order by all",
        "from marts.daily_channel_volume order by all",
    )
    oldest = "select min(last_seen_at) from raw_gws.interactions"
    ((seen,),) = rows(layout, oldest, layout.published)
    return {"rows": [rows(layout, query, layout.published) for query in queries], "seen": seen}
