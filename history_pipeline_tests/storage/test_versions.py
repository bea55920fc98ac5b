"""What an interaction said before it said something else is kept, once, whatever happens."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.errors import StorageError
from history_pipeline.storage import files, forgetting, identity, recutting, warehouse
from history_pipeline_tests.families import mostly_slow
from history_pipeline_tests.storage.lake import (
    BOTH,
    MAY,
    NOON,
    Lake,
    Row,
    breaking,
    content,
    ledger_row,
    observation,
    run_moment,
    write_part,
)

ENDED = {"ended_at": run_moment(9), "ended_at_text": "2024-06-10 12:00:00.000+0000"}


def seen(run: int) -> datetime:
    return run_moment(run) + timedelta(seconds=1)


def versions(lake: Lake, *columns: str) -> list[tuple[object, ...]]:
    """These columns of all versions, in the order in which they were superseded."""
    rows = sorted(lake.table("interaction_versions"), key=lambda row: row["superseded_at"])
    return [tuple(row[column] for column in columns) for row in rows]


def runs(lake: Lake, *rows: Row | None) -> None:
    """A run for each, a day apart, that sees this of the interaction."""
    for run, row in enumerate(rows):
        found = [] if row is None else [row | {"run_at": run_moment(run)}]
        lake.run(found, run=run)
        lake.load(run)


def in_state(state: str, run: int, **fields: object) -> Row:
    return observation("i1", state=state, run=run, **fields)


def test_each_state_that_it_left_is_kept_with_its_span(lake: Lake) -> None:
    runs(lake, in_state("New", 0), in_state("Routed", 1), in_state("Routed", 2),
         in_state("Stopped", 3, **ENDED))  # fmt: skip
    assert versions(lake, "state", "unchanged_since", "superseded_at") == [
        ("New", seen(0), seen(1)),
        ("Routed", seen(1), seen(3)),
    ]
    assert lake.interaction()["state"] == "Stopped"


def test_a_state_that_comes_back_is_another_version(lake: Lake) -> None:
    runs(lake, in_state("Idle", 0), in_state("Busy", 1), in_state("Idle", 2), in_state("Busy", 3))
    assert versions(lake, "state", "unchanged_since") == [
        ("Idle", seen(0)),
        ("Busy", seen(1)),
        ("Idle", seen(2)),
    ]


def test_what_has_not_changed_has_no_versions(lake: Lake) -> None:
    runs(lake, in_state("New", 0), None, in_state("New", 2), in_state("New", 3))
    assert lake.table("interaction_versions") == []
    assert lake.layout.version_files() == []


@pytest.mark.parametrize(
    "changed",
    [{"contact_id": "c2"}, {"owner_id": "o2"}, {"subject": "x"}, {"extra": '{"a":1}'}, ENDED,
     {"source": "archive"}],
    ids=str,
)  # fmt: skip
def test_whatever_changes_makes_a_version(lake: Lake, changed: Row) -> None:
    runs(lake, in_state("New", 0), in_state("New", 1, **changed))
    assert versions(lake, "unchanged_since", "superseded_at") == [(seen(0), seen(1))]


def test_an_attribute_that_changes_makes_none(lake: Lake) -> None:
    asked = ["OrderNo"]
    runs(lake, in_state("New", 0, attributes={"OrderNo": "1"}, asked=asked),
         in_state("New", 1, attributes={"OrderNo": "2"}, asked=asked))  # fmt: skip
    assert versions(lake) == []


def test_a_copy_that_loses_within_a_run_is_no_version(lake: Lake) -> None:
    lake.run([in_state("main's", 0), in_state("archive's", 0, source="archive", second=2)])
    lake.load()
    assert versions(lake) == []


def test_what_was_asked_for_other_names_or_lay_on_another_day_is_a_version(lake: Lake) -> None:
    runs(lake, in_state("New", 0), in_state("Routed", 1, asked=["OrderNo"]),
         in_state("Stopped", 2, asked=["OrderNo"], window_date=date(2024, 5, 2)))  # fmt: skip
    assert versions(lake, "state", "unchanged_since", "is_beside") == [
        ("New", seen(0), True),
        ("Routed", seen(1), True),
    ]


def a_life(lake: Lake) -> None:
    runs(lake, in_state("New", 0), in_state("Routed", 1), in_state("Routed", 2, asked=["A"]),
         in_state("Moved", 3, window_date=date(2024, 5, 2)), in_state("Stopped", 4, **ENDED))  # fmt: skip


@pytest.mark.slow
def test_a_rebuild_brings_them_back(lake: Lake) -> None:
    a_life(lake)
    before = content(lake)
    assert len(before["interaction_versions"]) > 2
    warehouse.rebuild(lake.layout, NOON)
    assert content(lake) == before


@pytest.mark.parametrize("at", mostly_slow([2, 1, 3, 4]))
def test_killed_and_repeated_a_compaction_keeps_each_once(
    lake: Lake, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(lake, in_state("New", 0), in_state("Routed", 1))
    attempt = lake.start(run=2)
    ledger = [ledger_row("c1", source) for source in BOTH]
    write_part(attempt, MAY, rows=[in_state("Stopped", 2, **ENDED)], ledger=ledger)
    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", breaking(at, files.replace))
        if at < 4:
            with pytest.raises(StorageError, match="killed"):
                lake.compact(attempt)
    lake.compact(attempt)
    lake.load(2)
    assert versions(lake, "state", "superseded_at") == [("New", seen(1)), ("Routed", seen(2))]


def test_days_that_are_cut_anew_take_them_along(tmp_path: Path) -> None:
    layout = identity.open_data_dir(tmp_path, server="https://a", zone="Europe/Berlin")
    lake = Lake(layout)
    late = {"started_at": datetime(2024, 5, 1, 1, tzinfo=NOON.tzinfo)}
    runs(lake, in_state("New", 0, **late), in_state("Routed", 1, **late))
    assert versions(lake, "window_date") == [(date(2024, 5, 1),)]
    recutting.recut(layout, ZoneInfo("America/New_York"))
    warehouse.rebuild(layout, NOON)
    assert versions(lake, "state", "window_date", "superseded_at") == [
        ("New", date(2024, 4, 30), seen(1))
    ]


def test_a_forgotten_contact_is_in_no_version(lake: Lake) -> None:
    runs(lake, in_state("New", 0, contact_id="c2"), in_state("Routed", 1, contact_id="c9"),
         in_state("Routed", 2, contact_id="c2"))  # fmt: skip
    forgetting.forget(lake.layout, "c9")
    warehouse.rebuild(lake.layout, NOON)
    assert versions(lake, "state", "contact_id") == [("New", "c2")]
    forgetting.forget(lake.layout, "c2")
    warehouse.rebuild(lake.layout, NOON)
    assert versions(lake) == []


def test_an_interaction_of_a_forgotten_contact_leaves_no_version_of_when_it_was_anothers(
    lake: Lake,
) -> None:
    runs(lake, in_state("New", 0, contact_id="c2"), in_state("New", 1, contact_id="c9"))
    assert versions(lake, "contact_id") == [("c2",)]
    forgetting.forget(lake.layout, "c9")
    warehouse.rebuild(lake.layout, NOON)
    assert versions(lake) == []
