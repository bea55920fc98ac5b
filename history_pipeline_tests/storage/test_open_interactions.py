"""What is open in the warehouse, when it was last asked about, and what asking again may claim."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest

from history_pipeline.model import OpenInteraction, Source
from history_pipeline.storage import database, open_interactions, warehouse
from history_pipeline.storage.schemas import PLAN
from history_pipeline_tests.storage.lake import (
    BOTH,
    DAY,
    Lake,
    Row,
    observation,
    run_moment,
)

MAIN, ARCHIVE = BOTH
AFTER = date(2024, 6, 20)
ENDED = run_moment(0) - timedelta(hours=1)


def opened(lake: Lake, before: date = AFTER, *, has_archive: bool = True) -> list[OpenInteraction]:
    return list(open_interactions.opened_before(lake.layout, before, has_archive=has_archive))


def asked_at(run: int) -> datetime:
    """When the requests of the so manieth run ended."""
    return run_moment(run) + timedelta(minutes=1)


def again(lake: Lake, *rows: Row, run: int, source: Source = MAIN, state: str = "answered") -> None:
    """A run that asks again for what is open, and its load."""
    lake.run(rows, run=run, sources=(source,), states={("c1", source): state}, is_again=True)
    lake.load(run)


def test_what_has_not_ended_is_open_and_was_asked_with_its_day(lake: Lake) -> None:
    lake.run([observation("open"), observation("ended", ended_at=ENDED)])
    lake.load()
    (one,) = opened(lake)
    assert (one.contact_id, one.day, one.asked_at) == ("c1", DAY, asked_at(0))
    assert not one.is_missing


def test_days_of_the_run_itself_are_left_out(lake: Lake) -> None:
    lake.run([observation("open")])
    lake.load()
    assert opened(lake, DAY) == []


def test_what_main_shows_no_more_is_missing_until_archive_was_asked(lake: Lake) -> None:
    lake.run([observation("open")])
    lake.load()
    again(lake, run=20)
    (one,) = opened(lake)
    assert (one.asked_at, one.is_missing) == (asked_at(20), True)
    assert not opened(lake, has_archive=False)[0].is_missing, "there is nothing more to ask"
    again(lake, run=21, source=ARCHIVE)
    (one,) = opened(lake)
    assert (one.asked_at, one.is_missing) == (asked_at(20), False)


@pytest.mark.parametrize(("state", "run"), [("gone", 20), ("unavailable", 20), ("failed", 0)])
def test_only_a_failure_leaves_it_to_be_asked_once_more(lake: Lake, state: str, run: int) -> None:
    lake.run([observation("open")])
    lake.load()
    again(lake, run=20, state=state)
    assert opened(lake)[0].asked_at == asked_at(run)


def test_the_newest_contact_is_asked(lake: Lake) -> None:
    lake.run([observation("open")])
    lake.run([observation("open", run=1, contact_id="c2")], run=1)
    lake.load()
    assert [one.contact_id for one in opened(lake)] == ["c2"]


def test_an_end_that_comes_late_closes_it_in_its_one_row(lake: Lake) -> None:
    lake.run([observation("i1", contact_id="old")])
    lake.load()
    again(lake, observation("i1", run=20, contact_id="newest", ended_at=ENDED), run=20)
    assert opened(lake) == []
    assert lake.interaction()["ended_at"] == ENDED
    assert lake.interaction()["contact_id"] == "newest"
    assert notes(lake) == [], "nothing is kept of what has ended"


def test_asking_again_claims_nothing_of_its_days_and_spoils_nothing(lake: Lake) -> None:
    lake.run([observation("open")], contacts=["c1", "c2"])
    lake.load()
    before = {name: lake.table(name) for name in ("coverage", "run_scopes")}
    again(lake, observation("open", run=20), run=20)
    again(lake, run=21, state="failed")
    lake.run(run=22, contacts=["stranger"], states={("stranger", MAIN): "failed"}, is_again=True)
    lake.load(22)
    assert {name: lake.table(name) for name in before} == before
    told = {(row["planned"], row["answered"], row["failed"]) for row in lake.table("runs")}
    assert told == {(2, 2, 0), (1, 1, 0), (1, 0, 1)}, "each is accounted for all the same"
    assert len(lake.table("certificates")) == 4


def test_a_failure_to_ask_again_is_kept_until_it_was_asked_again(lake: Lake) -> None:
    lake.run([observation("open")])
    again(lake, run=1, state="failed")
    lake.run(run=50, contacts=["another"])
    lake.load(50)
    assert [row["state"] for row in lake.table("requests") if row["contact_id"] == "c1"] == [
        "failed"
    ]
    again(lake, observation("open", run=51), run=51)
    assert [row["state"] for row in lake.table("requests") if row["contact_id"] == "c1"] == [
        "answered"
    ]


def test_what_is_open_in_the_plans_windows_is_asked_about(lake: Lake) -> None:
    later = date(2024, 5, 20)
    lake.run(
        [
            observation("first"),
            observation("later", window_date=later),
            observation("another's", contact_id="c2"),
            observation("ended", ended_at=ENDED),
        ]
    )
    lake.load()
    plan = pa.Table.from_pylist(
        [{"contact_id": "c1", "window_start": DAY, "source": "main"}], schema=PLAN
    )
    assert open_interactions.ids_of(lake.layout, plan, 10).to_pylist() == ["first"]
    assert open_interactions.ids_of(lake.layout, plan, 31).to_pylist() == ["first", "later"]
    ids = pa.array(["first", "ended"])
    assert open_interactions.ended_of(lake.layout, ids, [DAY, later]) == 1


def test_a_rebuild_knows_when_it_was_asked(lake: Lake) -> None:
    lake.run([observation("open"), observation("ended", ended_at=ENDED)])
    lake.load()
    again(lake, run=20)
    again(lake, run=21, source=ARCHIVE)
    before = notes(lake)
    assert [row[1] for row in before] == ["archive", "main"]
    warehouse.rebuild(lake.layout, run_moment(30))
    assert notes(lake) == before


def test_a_warehouse_without_notes_goes_by_when_it_was_seen(lake: Lake) -> None:
    lake.run([observation("open", second=5)])
    lake.load()
    with database.writing(lake.layout.warehouse, lake.layout.scratch) as connection:
        connection.execute("drop table raw_gws.open_asked")
    assert opened(lake)[0].asked_at == run_moment(0) + timedelta(seconds=5)


def notes(lake: Lake) -> list[tuple[object, ...]]:
    with database.reading(lake.layout.warehouse, lake.layout.scratch) as connection:
        return connection.execute("from raw_gws.open_asked order by all").fetchall()
