"""`HISTORY_CONTACTS=activity` on a server that is set one way or the other: few questions, the same
rows, and what could not be listed in full is named and made up for."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.errors import ConfigurationError, ServerUnusable
from history_pipeline.history.extraction import Extraction
from history_pipeline.history.opening import open_rest
from history_pipeline.model import Window
from history_pipeline.storage import certificates, database, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.warehouse_checks import inspect
from history_pipeline_tests.benchmarks.scene import Server
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    rows,
    run_days,
    settings_of,
    simulator,
)
from history_pipeline_tests.end_to_end.test_world import ASKED, compare
from history_pipeline_tests.families import mostly_slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 15), seed=7, contacts=60)
DAYS = Window(date(2026, 10, 5), date(2026, 10, 9))
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Ran:
    """A run over some days of a simulator that was set so."""

    layout: Layout
    extraction: Extraction
    requests: int

    def told(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.layout, query)

    @property
    def is_complete(self) -> bool:
        (row,) = self.told("select bool_and(is_discovery_complete) from raw_gws.run_scopes")
        return bool(row[0])

    @property
    def missing_from(self) -> date | None:
        last = datetime(DAYS.end.year, DAYS.end.month, DAYS.end.day, 4, tzinfo=BERLIN)
        return inspect(self.layout, BERLIN, last).first_missing

    @property
    def planned(self) -> int:
        return sum(account.planned for _, each in self.extraction.windows for account in each)


def ran(root: Path, *flags: str, days: Window = DAYS, span: Span = SPAN, **more: str) -> Ran:
    told = {
        "HISTORY_CUSTOM_ATTRIBUTES": json.dumps(ASKED),
        "HISTORY_CONTACTS": "activity",
        "GWS_NOTIFICATION_TIMEOUT": "30",
        "GWS_MAX_ATTEMPTS": "2",
        **more,
    }
    with simulator(span, *flags) as url:
        settings = settings_of(environment(url, root, **told))
        extraction = run_days(settings, days)
        return Ran(open_layout(settings), extraction, Server(url, 0).asked)


@pytest.mark.parametrize(
    "flags",
    mostly_slow(
        [
            ((),),
            (("--to-date-excluded",),),
            (("--max-size-refused-above", "150"),),
            (("--max-size-refused-above", "150", "--to-date-excluded", "--errors-with-200"),),
            (("--max-size-cut-at", "67"),),
            (("--max-size-cut-at", "100", "--to-date-excluded"),),
            (("--unassigned", "40"),),
            (("--error-share", "0.1", "--early-share", "0.5"),),
        ],
        quick=2,
    ),
    ids=" ".join,
)
def test_whichever_way_the_server_is_nothing_of_these_days_is_missing(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    run = ran(tmp_path, *flags, GWS_MAX_ATTEMPTS="8")
    compare(run.layout, SPAN, DAYS.start, DAYS.end)
    ((asked,),) = run.told("select count(*) from raw_gws.discovery_requests")
    assert asked + run.planned <= run.requests
    if run.is_complete:
        assert run.missing_from is None


@pytest.mark.slow
def test_a_server_whose_zone_is_another_hides_nobody(tmp_path: Path) -> None:
    """Bare dates are cut in the server's zone, and days are the configured one's."""
    span = Span(date(2026, 10, 1), date(2026, 10, 15), "Asia/Tokyo", seed=7, contacts=60)
    run = ran(
        tmp_path / "found", "--max-size-cut-at", "67", span=span, GWS_TIMEZONE="Europe/Berlin"
    )
    full = ran(tmp_path / "full", span=span, HISTORY_CONTACTS="gws", GWS_TIMEZONE="Europe/Berlin")
    assert content_hash(run) == content_hash(full)


def content_hash(run: Ran) -> str:
    with database.reading(run.layout.warehouse, run.layout.scratch) as connection:
        return certificates.content_hash(connection, DAYS.start, DAYS.end)


def test_what_was_asked_is_in_the_ledger_and_made_anew_from_the_lake(tmp_path: Path) -> None:
    run = ran(tmp_path, "--max-size-refused-above", "700", "--unassigned", "40")
    query = "from raw_gws.discovery_requests order by finished_at"
    told = run.told(query)
    states = run.told("""
        select state, max_size, count(*) from raw_gws.discovery_requests
        where source = 'main' group by all order by min(finished_at)
    """)
    assert states[:4] == [(("refused"), size, 1) for size in (10_000, 5_000, 2_000, 1_000)]
    ((run_ids, matching, nobodys),) = run.told("""
        select count(distinct run_id),
            count(*) filter (where run_id in (select run_id from raw_gws.runs)), max(nobodys)
        from raw_gws.discovery_requests
    """)
    assert (run_ids, matching) == (1, len(told))
    assert nobodys > 5
    run.layout.warehouse.unlink()
    warehouse.rebuild(run.layout, datetime.now(UTC))
    assert run.told(query) == told


def test_the_requests_are_those_that_the_server_has_seen(tmp_path: Path) -> None:
    run = ran(tmp_path)
    ((asked,),) = run.told("select sum(attempts) from raw_gws.discovery_requests")
    assert asked + run.planned == run.requests
    assert asked == 4, "both ways, in both sources"


# -- days that stay cut ---------------------------------------------------------------------------

DENSE = ("--max-size-cut-at", "12")


def test_crowded_days_are_named_and_do_not_count_as_complete(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        run = ran(tmp_path, *DENSE)
    assert not run.is_complete
    assert run.missing_from == DAYS.start
    assert "(main, chat) is listed in part only" in caplog.text
    assert "smssession) is listed in part only" in caplog.text


@pytest.mark.parametrize("full", mostly_slow(["gws", "file"]))
def test_the_full_list_makes_up_for_crowded_days(tmp_path: Path, full: str) -> None:
    listed = tmp_path / "all.csv"
    ids = [contact.contact_id for contact in SPAN.world().contacts()]
    listed.write_text("\n".join(["contact_id", *ids]))
    value = "gws" if full == "gws" else f"file:{listed}"
    run = ran(tmp_path / "data", *DENSE, HISTORY_FULL_LIST=value)
    compare(run.layout, SPAN, DAYS.start, DAYS.end)
    assert run.is_complete
    assert run.missing_from is None
    assert run.planned == 2 * SPAN.contacts


def test_the_full_list_is_not_asked_where_nothing_is_cut(tmp_path: Path) -> None:
    run = ran(tmp_path, HISTORY_FULL_LIST="gws")
    assert run.is_complete
    assert run.planned < 2 * SPAN.contacts


@pytest.mark.slow
def test_asking_the_rest_makes_up_for_what_a_run_without_the_full_list_has_left(
    tmp_path: Path,
) -> None:
    first = ran(tmp_path, *DENSE)
    assert not first.is_complete
    with simulator(SPAN, *DENSE) as url:
        told = environment(
            url, tmp_path, HISTORY_CONTACTS="activity", HISTORY_FULL_LIST="gws",
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED), GWS_NOTIFICATION_TIMEOUT="30",
        )  # fmt: skip
        settings = settings_of(told)
        # the server has another port now, and is another one by its name
        identity = json.loads(first.layout.identity.read_text()) | {"server": settings.url}
        first.layout.identity.write_text(json.dumps(identity))
        rest = asyncio.run(open_rest(settings, first.layout, DAYS))
        assert rest is not None
        run_days(settings, DAYS, run_id=rest.run_id)
        assert asyncio.run(open_rest(settings, first.layout, DAYS)) is None
    assert first.missing_from is None
    full = ran(tmp_path / "full", HISTORY_CONTACTS="gws")
    assert content_hash(first) == content_hash(full)


def test_a_full_list_that_cannot_be_read_is_said_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("id\n1\n")
    with pytest.raises(
        ConfigurationError, match="HISTORY_FULL_LIST: .* has no column `contact_id`"
    ):
        ran(tmp_path / "data", *DENSE, HISTORY_FULL_LIST=f"file:{tmp_path / 'all.csv'}")


# -- a discovery that fails -----------------------------------------------------------------------


def test_a_discovery_that_fails_is_in_the_ledger_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(ServerUnusable, match="HISTORY_SOURCES=main where it has no archive"):
        ran(tmp_path, "--no-archive")
    layout = Layout(tmp_path)
    warehouse.load(layout, datetime.now(UTC))
    told = rows(
        layout, "select source, state, count(*) from raw_gws.discovery_requests group by all"
    )
    assert ("archive", "failed", 1) in told
    assert rows(layout, "from raw_gws.runs") == []


# -- the cost of a day ----------------------------------------------------------------------------


@pytest.mark.slow
def test_of_many_contacts_only_those_who_were_active_are_asked(tmp_path: Path) -> None:
    """2,000 contacts of which 1 % were active: 2 % of the requests of a full run, the same rows."""
    span = Span(date(2026, 10, 1), date(2026, 10, 31), seed=3, contacts=2_000)
    days = Window(date(2026, 10, 1), date(2026, 10, 31))
    flags = ("--active-share", "0.01")
    found = ran(tmp_path / "found", *flags, days=days, span=span)
    full = ran(tmp_path / "full", *flags, days=days, span=span, HISTORY_CONTACTS="gws")
    assert full.requests >= 2 * span.contacts
    assert found.requests <= 0.02 * full.requests
    for table in ("interactions", "interaction_attributes"):
        columns = "* exclude (first_seen_at, last_seen_at)" if table == "interactions" else "*"
        query = f"select {columns} from raw_gws.{table} order by all"
        assert found.told(query) == full.told(query) != []
