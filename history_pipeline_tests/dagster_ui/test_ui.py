"""Runs from the UI, through the daemon: whatever way it splits them, the end is the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.defs import home
from history_pipeline.storage import warehouse
from history_pipeline_tests.dagster_ui.browser import read, shows
from history_pipeline_tests.dagster_ui.scenario import CONTACTS, DAYS, WINDOWS
from history_pipeline_tests.dagster_ui.site import Site, history_requests
from history_pipeline_tests.dagster_ui.webserver import Ui
from history_pipeline_tests.end_to_end.running import rows

pytestmark = pytest.mark.slow

RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
FOUR_O_CLOCK = datetime(2026, 10, 6, 4, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


@pytest.fixture(scope="module")
def backfilled(opened: Ui, launched: str) -> dict[str, Any]:
    return opened.backfill_ended(launched)


@dataclass(frozen=True, slots=True)
class Again:
    run_id: str
    asked_before: int


@pytest.fixture(scope="module")
def again(backfilled: dict[str, Any], opened: Ui, server: str) -> Again:
    """The run of the first window, executed again; it goes on while pages are read."""
    first = (RANGE[0], WINDOWS[0][0])
    (run,) = [run for run in backfilled["runs"] if first in tags_of(run).items()]
    asked = history_requests(server)
    return Again(opened.re_execute(run["id"], "ALL_STEPS"), asked)


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


@pytest.mark.browser
async def test_a_partitions_page_shows_what_was_asked_and_what_came(
    again: Again, opened: Ui, browser: str
) -> None:
    day = DAYS[-1]
    shown = opened.site.materializations("interactions")[day]
    previewed = [record.data["interaction_id"] for record in shown["preview"].records]
    url = f"{opened.url}/assets/interactions?view=partitions&partition={day}"
    page = await read(browser, url, shows("latency p99 (s)", "preview", *previewed))
    assert page.beside("days asked together") == f"{DAYS[3]}..{day} (2 days in Europe/Berlin)"
    numbers = {name: number for name, number in shown.items() if isinstance(number, int | float)}
    assert {name: float(page.beside(name)) for name in numbers} == numbers
    assert numbers["requests answered"] == numbers["requests planned"] == CONTACTS * 2
    assert numbers["interactions of this day"] >= len(previewed) > 0


@pytest.mark.browser
async def test_the_page_of_a_check_that_failed_tells_what_to_do(
    again: Again, opened: Ui, browser: str
) -> None:
    url = f"{opened.url}/assets/warehouse?view=checks&checkDetail=freshness"
    found = "2026-10-06 is the first day that is not complete"
    page = await read(browser, url, shows(found, "what to do", "no_duplicate_ids"))
    assert page.beside("freshness") == "Failed"
    assert page.beside("no_duplicate_ids") == "Succeeded"
    command = "history-pipeline backfill --from 2026-10-06 --to "
    assert page.beside("what to do").startswith(command)


@pytest.mark.browser
async def test_the_page_of_a_mart_tells_its_rows_and_what_its_columns_mean(
    again: Again, opened: Ui, browser: str
) -> None:
    layout = opened.site.layout
    ((count,),) = rows(layout, "select count(*) from marts.interactions", layout.published)
    url = f"{opened.url}/assets/marts/interactions?view=overview"
    meaning = "Seconds from start to end; null while open, negative where the server errs."
    page = await read(browser, url, shows("Row count", meaning))
    assert page.beside("Row count") == f"{count:,}"
    assert page.beside("duration_seconds") == "double"
    assert page.beside("double") == meaning


@pytest.mark.browser
async def test_the_page_of_a_check_tells_what_was_found(
    again: Again, opened: Ui, browser: str
) -> None:
    assert opened.run_ended(again.run_id) == "SUCCESS", "until then the page shows it at work"
    url = f"{opened.url}/assets/interactions?view=checks&checkDetail=every_request_answered"
    found = f"{CONTACTS * 2} requests, none failed"
    page = await read(browser, url, shows(found, "requests failed", "sources_available"))
    assert page.beside("every_request_answered") == "Succeeded"
    assert page.beside("sources_available") == "Succeeded"
    assert page.beside("requests failed") == "0"
    assert page.beside("days").endswith(" days in Europe/Berlin)")


def test_a_run_executed_again_asks_anew_for_its_own_days(
    again: Again, opened: Ui, server: str
) -> None:
    assert opened.run_ended(again.run_id) == "SUCCESS"
    assert history_requests(server) == again.asked_before + CONTACTS * 2


def test_publishing_by_itself_after_a_load_by_itself_shows_all_that_is_loaded(
    again: Again, opened: Ui
) -> None:
    assert opened.run_ended(again.run_id) == "SUCCESS"
    layout = opened.site.layout
    warehouse.load(layout, datetime.now(UTC))
    state = "select loads, modelled from raw_gws.load_state"
    ((loads, modelled),) = rows(layout, state)
    assert loads > modelled
    assert opened.run_ended(opened.launch(assets=["published"])) == "SUCCESS"
    assert rows(layout, state, layout.published) == [(loads, loads)]


def test_the_daily_schedules_run_goes_through_the_daemon_and_changes_only_when_rows_were_seen(
    backfilled: dict[str, Any], opened: Ui, server: str
) -> None:
    (tags,) = opened.evaluate_schedule("daily_backfill", FOUR_O_CLOCK)
    assert tuple(tags[name] for name in RANGE) == (DAYS[0], DAYS[-1])
    assert tags["dagster/priority"] == "1", "before what is queued"
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
