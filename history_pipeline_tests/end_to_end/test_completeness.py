"""Complete means complete: for everybody who is listed today, by whole runs, up to yesterday. And
what is not is asked by the daily schedule, or by the command that the freshness check names."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.contacts import reading
from history_pipeline.history.opening import open_rest
from history_pipeline.model import RequestState, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts, contact_list
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.warehouse_checks import first_incomplete_day, inspect
from history_pipeline_tests.dagster_ui.site import Site, history_requests, run_python
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    rows,
    run_days,
    settings_of,
    simulator,
)

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = datetime.now(BERLIN).date()
SPAN = Span(TODAY - timedelta(days=60), TODAY, contacts=12)
NEWCOMERS = 3
IDS = sorted(contact.contact_id for contact in SPAN.world().contacts())

_EVALUATE = """
import json, sys
from datetime import datetime
import dagster as dg
from history_pipeline.definitions import defs
from history_pipeline.defs.pipeline import Pipeline
found = []
for moment in map(datetime.fromisoformat, sys.argv[1:]):
    context = dg.build_schedule_context(
        scheduled_execution_time=moment, resources={"pipeline": Pipeline()}
    )
    (asked,) = defs.resolve_schedule_def("daily_backfill").evaluate_tick(context).run_requests
    found.append(dict(asked.tags))
print(json.dumps(found))
"""
"""Dagster's own evaluation of the schedule, at moments of our choice."""

_RUN = """
import json, sys
from history_pipeline.cli.display import quiet
from history_pipeline.defs import home
from history_pipeline.defs.environment import told
from history_pipeline.defs.dbt_project import environment_layout
layout = environment_layout()
home.prepare(layout)
from history_pipeline.definitions import defs
with quiet(), home.instance(layout) as instance:
    done = defs.resolve_job_def("daily").execute_in_process(
        instance=instance, tags=json.loads(sys.argv[1])
    )
"""
"""The schedule's job as Dagster runs it, with the tags that the schedule asked for."""


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Home:
    """A site whose contacts are a file, and the server that it asks."""

    site: Site
    url: str

    @property
    def layout(self) -> Layout:
        return self.site.layout

    def list_contacts(self, ids: list[str]) -> None:
        text = "\n".join(["contact_id", *ids])
        (self.site.root / "ids.csv").write_text(f"{text}\n")

    def fill(self, first: int, end: int, **more: str) -> None:
        """A run from so many days ago to so many, in the lake and in the warehouse."""
        told = {**self.site.told, **more}
        run_days(settings_of(told), Window(ago(first), ago(end)))

    def scheduled(self, *moments: datetime) -> list[dict[str, str]]:
        """The tags of the runs that the daily schedule asks for at these moments."""
        given = [moment.isoformat() for moment in moments]
        done = run_python(
            _EVALUATE, *given, cwd=self.site.root, environment=self.site.environment()
        )
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout))

    def days_scheduled(self, *moments: datetime) -> list[tuple[int, int]]:
        """The first and the last days that it asks for then, in days before today."""
        return [
            tuple(
                (TODAY - date.fromisoformat(tags[f"dagster/asset_partition_range_{edge}"])).days
                for edge in ("start", "end")
            )
            for tags in self.scheduled(*moments)
        ]

    def command(self, *arguments: str) -> str:
        done = self.site.history_pipeline(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def published(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.layout, query, self.layout.published)

    def incomplete(self) -> set[int]:
        """In days before today, what marts.data_completeness does not call complete."""
        found = self.published("select day from marts.data_completeness where not is_complete")
        return {(TODAY - day).days for (day,) in found}

    def freshness(self) -> dict[str, Any]:
        """The newest evaluation of the check, as the UI shows it."""
        (found,) = self.site.evaluations("freshness")[-1:]
        return found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with simulator(SPAN) as running:
        yield running


@pytest.fixture
def home(url: str, tmp_path: Path, seed_dbt: Callable[[Path], None]) -> Home:
    seed_dbt(tmp_path / "data")
    told = environment(
        url,
        tmp_path / "data",
        HISTORY_CONTACTS=f"file:{tmp_path / 'ids.csv'}",
        HISTORY_CUSTOM_ATTRIBUTES='["OrderNo"]',
        # nothing is lost here, and a busy machine must not make it ask twice
        GWS_NOTIFICATION_TIMEOUT="30",
    )
    made = Home(Site(tmp_path, told), url)
    made.list_contacts(IDS)
    return made


def at_four(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=BERLIN)


# -- newcomers, and narrowed runs -----------------------------------------------------------------


@pytest.mark.slow
def test_days_are_partial_for_newcomers_and_narrowed_runs_until_they_are_asked(home: Home) -> None:
    home.list_contacts(IDS[NEWCOMERS:])
    home.fill(10, 7)
    home.fill(7, 6, HISTORY_MEDIA_TYPE="email")
    home.fill(6, 5, HISTORY_SEARCH_ATTRIBUTES='{"OrderNo": "1"}')
    home.list_contacts(IDS)
    yesterdays = ("--from", ago(5).isoformat(), "--to", ago(1).isoformat())
    home.command("backfill", *yesterdays)
    assert home.incomplete() == {10, 9, 8, 7, 6}
    told = home.command("status")
    for source in ("main", "archive"):
        assert standing(told, source) == [("partial", 10, 6), ("complete", 5, 1)]
    first = f"{ago(10)} is the first day that is not complete"
    assert home.freshness()["description"] == first

    home.fill(7, 5)
    before = history_requests(home.url)
    rest = ("--from", ago(10).isoformat(), "--to", ago(8).isoformat(), "--only-failed")
    told = home.command("backfill", *rest)
    # the newcomers, and one contact more that shows the server to know anybody
    assert history_requests(home.url) - before == 2 * (NEWCOMERS + 1)
    assert f"{2 * (NEWCOMERS + 1)} requests planned" in told
    assert home.incomplete() == set()
    assert home.freshness()["passed"]
    told = home.command("status")
    for source in ("main", "archive"):
        assert standing(told, source) == [("complete", 10, 1)]


def standing(table: str, source: str) -> list[tuple[str, int, int]]:
    """What `status` says of a source: how its spans stand, from how many days ago to how many."""
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("│┃|").split("│")]
        if cells[0] == source:
            first, last = (date.fromisoformat(cell) for cell in cells[1:3])
            found.append((cells[4], (TODAY - first).days, (TODAY - last).days))
    return found


# -- a pipeline that stood still ------------------------------------------------------------------


@pytest.mark.slow
def test_after_forty_days_the_check_is_red_until_the_command_that_it_names_was_run(
    home: Home,
) -> None:
    home.fill(45, 40)
    publish_as_it_is(home.layout)
    (tags,) = home.scheduled(at_four(TODAY))
    done = run_python(
        _RUN, json.dumps(tags), cwd=home.site.root, environment=home.site.environment()
    )
    assert done.returncode == 0, done.stderr
    days = home.published("select distinct day from marts.data_completeness")
    asked = {(TODAY - day).days for (day,) in days}
    assert asked == {*range(1, 32), *range(41, 46)}, "a month is what the schedule asks"
    red = home.freshness()
    assert (red["passed"], red["severity"]) == (False, "ERROR")
    words = shlex.split(red["metadata"]["what to do"])
    assert words[:2] == ["history-pipeline", "backfill"]
    home.command(*words[1:])
    assert home.incomplete() == set()
    assert home.freshness()["passed"]


@pytest.mark.slow
def test_after_two_weeks_the_schedule_asks_from_the_first_day_that_is_missing(home: Home) -> None:
    home.fill(24, 13)
    publish_as_it_is(home.layout)
    on_time, late, today = home.days_scheduled(at_four(ago(13)), at_four(ago(4)), at_four(TODAY))
    assert on_time == (20, 14), "the lookback"
    assert late == (13, 5), "the gap"
    assert today == (13, 1)
    home.fill(13, 0)
    publish_as_it_is(home.layout)
    assert first_incomplete_day(home.layout, BERLIN, datetime.now(UTC)) is None
    assert home.days_scheduled(at_four(TODAY)) == [(7, 1)]


@pytest.mark.slow
def test_a_newcomer_makes_the_schedule_ask_from_the_first_day_again(home: Home) -> None:
    home.list_contacts(IDS[1:])
    home.fill(20, 0)
    publish_as_it_is(home.layout)
    now = datetime.now(UTC)
    assert first_incomplete_day(home.layout, BERLIN, now) is None
    home.list_contacts(IDS)
    home.fill(1, 0)
    publish_as_it_is(home.layout)
    assert first_incomplete_day(home.layout, BERLIN, now) == ago(20)
    assert inspect(home.layout, BERLIN, now).advice == (
        f"history-pipeline backfill --from {ago(20)} --to {ago(1)} --only-failed"
    )
    home.fill(20, 0)
    publish_as_it_is(home.layout)
    assert first_incomplete_day(home.layout, BERLIN, now) is None


def publish_as_it_is(layout: Layout) -> None:
    """Puts what is loaded where the schedule reads it; it needs no models."""
    layout.published.write_bytes(layout.warehouse.read_bytes())


# -- contacts that are found by their activity ----------------------------------------------------


def test_days_on_which_discovery_found_nobody_are_complete(url: str, tmp_path: Path) -> None:
    settings = settings_of(environment(url, tmp_path, HISTORY_CONTACTS="activity"))
    before_the_world = Window(ago(70), ago(66))
    run_days(settings, before_the_world)
    now = at_four(ago(66))
    assert inspect(open_layout(settings), BERLIN, now).first_missing is None
    run_days(settings, Window(ago(64), ago(63)))
    assert inspect(open_layout(settings), BERLIN, at_four(ago(63))).first_missing == ago(66)


def test_asking_the_rest_finds_those_who_were_active_on_days_never_asked(
    url: str, tmp_path: Path
) -> None:
    told = environment(url, tmp_path, HISTORY_CONTACTS="activity", GWS_NOTIFICATION_TIMEOUT="30")
    settings = settings_of(told)
    run_days(settings, Window(ago(20), ago(19)))
    days, layout = Window(ago(20), ago(10)), open_layout(settings)
    rest = asyncio.run(open_rest(settings, layout, days))
    assert rest is not None
    run_days(settings, days, run_id=rest.run_id)
    assert inspect(layout, BERLIN, at_four(ago(10))).first_missing is None
    assert asyncio.run(open_rest(settings, layout, days)) is None


# -- one verdict a run ----------------------------------------------------------------------------


@pytest.mark.slow
def test_an_archive_that_answered_in_one_window_of_a_run_is_not_unavailable_in_the_next(
    tmp_path: Path,
) -> None:
    """Each window of `backfill` is a Dagster run of its own; the verdict is the whole run's."""
    first, second = Window(ago(20), ago(10)), Window(ago(10), ago(1))
    with simulator(SPAN) as url:
        settings = settings_of(
            environment(url, tmp_path, HISTORY_WINDOW_DAYS="10", GWS_MAX_ATTEMPTS="1")
        )
        run_id = windows_of_one_run(settings, Window(ago(20), ago(1)), first)
    with simulator(SPAN, "--no-archive", port=int(url.rpartition(":")[2])):
        extraction = run_days(settings, second, run_id=run_id)
    ((_, (main, archive)),) = extraction.windows
    assert main.states[RequestState.ANSWERED] == SPAN.contacts
    assert archive.states[RequestState.FAILED] == SPAN.contacts
    assert archive.states[RequestState.UNAVAILABLE] == 0


def windows_of_one_run(settings: Settings, days: Window, window: Window) -> str:
    """Opens an attempt at the days and asks one of its windows; returns its id."""
    layout, now = open_layout(settings), datetime.now(UTC)
    reading.read(settings, layout, now)
    attempt = attempts.start(
        layout, days, attempts.fingerprint(settings), contact_list.current_ids(layout), now
    )
    run_days(settings, window, run_id=attempt.run_id)
    return attempt.run_id
