"""The lake into the warehouse: each interaction once, nothing lost, the same in any order."""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from history_pipeline.errors import MemoryExhausted, StorageError
from history_pipeline.model import Contact, Source, Window
from history_pipeline.storage import contact_list, database, splitting, warehouse, warehouse_days
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.families import mostly_slow
from history_pipeline_tests.storage.lake import (
    BOTH,
    MAY,
    NOON,
    Lake,
    Row,
    content,
    observation,
    reject,
    run_moment,
)

MAIN, ARCHIVE = BOTH
D1, D2, D3 = date(2024, 5, 1), date(2024, 5, 2), date(2024, 5, 3)
ENDED = datetime.fromisoformat("2024-05-01T11:00:00+00:00")


def rebuilt(lake: Lake, run: int = 6) -> dict[str, list[str]]:
    """What a new warehouse over the same lake says."""
    copy = Path(f"{lake.layout.root}-rebuilt")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    shutil.copytree(lake.layout.lake, copy / "lake")
    fresh = Lake(Layout(copy))
    fresh.load(run)
    return content(fresh)


# -- once, and again ------------------------------------------------------------------------------


def test_each_interaction_is_one_row_whatever_it_came_through(lake: Lake) -> None:
    lake.run([observation("a"), observation("a", source="archive"), observation("a", second=9)])
    lake.run([observation("a", run=1, contact_id="c2", requested_contact_id="c2")],
             run=1, contacts=["c2"])  # fmt: skip
    loaded = lake.load(run=1)
    row = lake.interaction("a")
    assert loaded.interactions == 1
    assert (row["contact_id"], row["seen_in_main"], row["seen_in_archive"]) == ("c2", True, True)


def test_loading_nothing_new_changes_nothing(lake: Lake) -> None:
    lake.run([observation("a", attributes={"x": "1"})], rejects=[reject()])
    lake.load()
    before = content(lake), lake.table("load_state"), lake.table("loaded_files")
    loaded = lake.load(run=1)
    assert (loaded.day_files, loaded.windows) == (0, 0)
    assert (content(lake), lake.table("load_state"), lake.table("loaded_files")) == before


def test_a_rerun_over_the_same_answers_changes_nothing_but_last_seen_at(lake: Lake) -> None:
    def answers(run: int) -> list[Row]:
        return [
            observation("a", run=run, ended_at=ENDED, asked=("x",), attributes={"x": "1"}),
            observation("b", run=run, source="archive", asked=("x",)),
        ]

    lake.run(answers(0), rejects=[reject()])
    lake.load()
    ran = {"interactions": ("last_seen_at",), "interaction_attributes": (), "rejects": (),
           "contacts": ()}  # fmt: skip
    before = {name: lake.table(name, but) for name, but in ran.items()}
    lake.run(answers(1), run=1, rejects=[reject(seen_at=run_moment(1))])
    lake.load(run=1)
    assert {name: lake.table(name, but) for name, but in ran.items()} == before
    assert {row["last_seen_at"] for row in lake.table("interactions")} == {
        run_moment(1) + timedelta(seconds=1)
    }


def test_what_the_server_no_longer_returns_stays(lake: Lake) -> None:
    lake.run([observation("a"), observation("b", window_date=D2)])
    lake.load()
    lake.run([observation("b", run=1, window_date=D2)], run=1)
    lake.load(run=1)
    assert lake.interaction("a")["last_seen_at"] == run_moment(0) + timedelta(seconds=1)
    assert len(lake.table("interactions")) == 2


def test_a_load_that_fails_leaves_the_warehouse_as_it_was(lake: Lake) -> None:
    lake.run([observation("a")])
    lake.load()
    before = content(lake)
    attempt = lake.run([observation("b", run=1)], run=1, window=MAY)
    ledger = lake.layout.window_ledger(attempt.run_id, MAY) / "ledger.parquet"
    whole = ledger.read_bytes()
    ledger.write_bytes(b"PAR1 damaged")
    with pytest.raises(StorageError):
        lake.load(run=1)
    assert content(lake) == before
    ledger.write_bytes(whole)
    lake.load(run=1)
    assert len(lake.table("interactions")) == 2


def test_what_little_memory_does_not_do_for_is_loaded_in_more(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.run([observation(f"i{number}", subject="x" * 100) for number in range(2_000)])
    monkeypatch.setattr(database, "LOAD_MEMORY_LIMIT", "1MB")
    with pytest.raises(MemoryExhausted):
        warehouse._load_within("1MB", lake.layout, lake.layout.warehouse, NOON)
    assert lake.load().interactions == 2_000


class _NoRoomToCheckpoint:
    """A connection that has the memory for all else."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, query: str, *values: Any) -> Any:
        if query == "checkpoint":
            raise duckdb.OutOfMemoryException("no room")
        return self._connection.execute(query, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def test_what_is_loaded_is_not_loaded_again_where_only_the_checkpoint_had_no_room(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def writing(*told: Any, **more: Any) -> Iterator[Any]:
        with opened(*told, **more) as connection:
            yield _NoRoomToCheckpoint(connection)

    opened = database.writing
    lake.run([observation("a")])
    monkeypatch.setattr(database, "writing", writing)
    loaded = lake.load()
    assert (loaded.windows, len(loaded.certificates), loaded.interactions) == (1, 1, 1)
    monkeypatch.undo()
    assert len(lake.table("interactions")) == 1


def test_a_lake_that_holds_nothing_makes_an_empty_warehouse(lake: Lake) -> None:
    loaded = lake.load()
    assert (loaded.interactions, loaded.contacts) == (0, 0)


def test_the_warehouse_belongs_to_its_owner_alone(lake: Lake) -> None:
    lake.load()
    assert stat.S_IMODE(lake.layout.warehouse.stat().st_mode) == 0o600
    assert not lake.layout.warehouse.with_name("warehouse.duckdb.wal").exists()


def test_a_warehouse_of_an_older_format_is_made_anew(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.run([observation("a")])
    lake.load()
    before = content(lake)
    with database.writing(lake.layout.warehouse, lake.layout.scratch) as connection:
        connection.execute("alter table raw_gws.interactions drop column uri")
    monkeypatch.setattr(warehouse, "WAREHOUSE_FORMAT", warehouse.WAREHOUSE_FORMAT + 1)
    assert lake.load(1).interactions == 1
    assert content(lake) == before


def test_another_format_is_refused(lake: Lake) -> None:
    lake.load()
    with database.writing(lake.layout.warehouse, lake.layout.scratch) as connection:
        connection.execute("update raw_gws.load_state set format = 99")
    with pytest.raises(StorageError, match="format 99"):
        lake.load()


def test_texts_arrive_as_they_were_sent(lake: Lake) -> None:
    texts = ("", "'", '"', "\\", "\n", "ß", "\U0001f600", "a\x00b", "NULL", "\u202e", " ")
    attributes = dict(zip(texts, texts, strict=True))
    lake.run([observation(f"i{n}", subject=text, asked=texts, attributes=attributes)
              for n, text in enumerate(texts)])  # fmt: skip
    lake.load()
    for n, text in enumerate(texts):
        assert lake.interaction(f"i{n}")["subject"] == text
    assert lake.attributes("i0") == attributes


def test_any_json_that_was_kept_can_be_loaded(lake: Lake) -> None:
    extras = ['{"a":"\\u0000"}', '{"n":1' + "0" * 400 + "}", '{"n":1e308}', '{"":null}',
              '{"deep":' + "[" * 300 + "]" * 300 + "}"]  # fmt: skip
    lake.run([observation(f"i{n}", extra=extra) for n, extra in enumerate(extras)])
    lake.load()
    assert [lake.interaction(f"i{n}")["extra"] for n in range(len(extras))] == extras


# -- attributes -----------------------------------------------------------------------------------

ODD_NAMES = ("a,b", 'q"q', "[]", "ß\U0001f600", "\\", "a\nb")
Copies = list[tuple[tuple[str, ...], dict[str, str], dict[str, Any]]]
ATTRIBUTES: dict[str, tuple[Copies, dict[str, str]]] = {
    "a name that is asked for again is replaced": (
        [(("x",), {"x": "1"}, {}), (("x",), {"x": "2"}, {})],
        {"x": "2"},
    ),
    "a name that is asked for and absent is gone": (
        [(("x", "y"), {"x": "1", "y": "1"}, {}), (("x", "y"), {"x": "2"}, {})],
        {"x": "2"},
    ),
    "a name that is not asked for stays": (
        [(("x", "y"), {"x": "1", "y": "1"}, {}), (("y",), {"y": "2"}, {})],
        {"x": "1", "y": "2"},
    ),
    "a run that asks for no names leaves all": (
        [(("x",), {"x": "1"}, {}), ((), {}, {})],
        {"x": "1"},
    ),
    "names that differ in case stay apart": (
        [(("OrderNo", "orderno"), {"OrderNo": "1", "orderno": "2"}, {}), (("orderno",), {}, {})],
        {"OrderNo": "1"},
    ),
    "a name that was sent unasked lands": ([(("x",), {"y": "1"}, {})], {"y": "1"}),
    "an older copy with an end speaks for the names that it asked for": (
        [
            (("x", "y"), {"x": "ended", "y": "ended"}, {"ended_at": ENDED}),
            (("x",), {"x": "open"}, {}),
        ],
        {"x": "ended", "y": "ended"},
    ),
    "archive does not take away what main said in the same run": (
        [
            (("x",), {"x": "main"}, {"run": 0, "second": 1}),
            (("x",), {}, {"run": 0, "second": 2, "source": "archive"}),
        ],
        {"x": "main"},
    ),
    "an empty text is not null": ([(("x",), {"x": ""}, {})], {"x": ""}),
    "names may hold anything": (
        [(ODD_NAMES, dict.fromkeys(ODD_NAMES, "1"), {}), (ODD_NAMES[:3], {}, {})],
        dict.fromkeys(ODD_NAMES[3:], "1"),
    ),
}


@pytest.fixture(scope="module")
def attributed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """All of these at once: a run and a load for each copy."""
    lake = Lake(Layout(tmp_path_factory.mktemp("attributed") / "home"))
    for run in range(2):
        rows = [
            observation(name, **({"run": run} | fields), asked=asked, attributes=attributes)
            for name, (copies, _) in ATTRIBUTES.items()
            for asked, attributes, fields in copies[run : run + 1]
        ]
        lake.run(rows, run=run)
        lake.load(run)
    return lake


@pytest.mark.parametrize("rule", ATTRIBUTES)
def test_only_names_that_were_asked_for_are_replaced(attributed: Lake, rule: str) -> None:
    assert attributed.attributes(rule) == ATTRIBUTES[rule][1]


def test_attributes_are_the_same_in_a_rebuilt_warehouse(attributed: Lake) -> None:
    assert content(attributed) == rebuilt(attributed)


# -- an interaction whose day changed -------------------------------------------------------------


@pytest.mark.parametrize("loads", [(0, 1, 2), (2,), (0, 2)])
def test_an_interaction_whose_day_changed_is_one_row_however_it_was_loaded(
    lake: Lake, loads: tuple[int, ...]
) -> None:
    ends = {"never": None, "first": 0, "second": 1, "third": 2}
    for run, day in enumerate((D1, D2, D3)):
        moved = [
            observation(
                name,
                run=run,
                window_date=day,
                ended_at=ENDED if run == ended else None,
                asked=("x",),
                attributes={"x": str(run)},
            )
            for name, ended in ends.items()
        ]
        lake.run([*moved, observation(f"other {run}", run=run, window_date=day)], run=run)
        if run in loads:
            lake.load(run)
    for name, ended in ends.items():
        row = lake.interaction(name)
        assert row["window_date"] == (D1, D2, D3)[2 if ended is None else ended]
        assert row["first_seen_at"] == run_moment(0) + timedelta(seconds=1)
        assert row["last_seen_at"] == run_moment(2) + timedelta(seconds=1)
        assert lake.attributes(name) == {"x": str(2 if ended is None else ended)}
    assert content(lake) == rebuilt(lake)


def test_a_day_that_is_loaded_again_does_not_bring_a_moved_interaction_back(lake: Lake) -> None:
    lake.run([observation("moved", window_date=D1)], run=0)
    lake.load(0)
    lake.run([observation("moved", run=1, window_date=D2)], run=1)
    lake.load(1)
    lake.run([observation("other", run=2, window_date=D1)], run=2)
    lake.load(2)
    assert lake.interaction("moved")["window_date"] == D2
    assert content(lake) == rebuilt(lake)


def test_a_moved_interaction_is_left_alone_by_a_load_that_only_meets_its_old_day(
    lake: Lake,
) -> None:
    lake.run([observation(name, window_date=D1) for name in ("x", "y")], run=0)
    lake.run([observation("x", run=1, window_date=D2), observation("y", run=1, window_date=D3)],
             run=1)  # fmt: skip
    lake.load(1)
    lake.run([observation("y", run=2, window_date=D3)], run=2)
    lake.load(2)
    assert lake.interaction("x")["window_date"] == D2
    assert content(lake) == rebuilt(lake)


@pytest.mark.parametrize("seed", mostly_slow(range(2)))
@pytest.mark.parametrize("rows_at_once", mostly_slow([1_000, 2]))
def test_any_runs_loaded_at_any_moments_equal_a_rebuild(
    lake: Lake, seed: int, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law 12, over runs that move, end, merge and lose interactions."""
    monkeypatch.setattr(database, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(warehouse_days, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(warehouse_days, "FOLDED_AT_ONCE", rows_at_once)
    monkeypatch.setattr(splitting, "HELD_BYTES", rows_at_once * 100)
    dice = random.Random(seed)
    names = ("x", "X", "y")
    for run in range(5):
        asked = tuple(sorted(dice.sample(names, dice.randrange(4))))
        rows = [
            observation(
                f"i{dice.randrange(8)}",
                run=run,
                second=n,
                window_date=dice.choice([D1, D1, D2, D3]),
                source=dice.choice(["main", "archive"]),
                contact_id=dice.choice(["c1", "c2", None]),
                ended_at=dice.choice([None, ENDED]),
                subject=f"{run}.{n}",
                asked=asked,
                attributes={name: f"{run}.{n}" for name in asked if dice.random() < 0.6},
            )
            for n in range(dice.randrange(8))
        ]
        states = {("c2", dice.choice(BOTH)): dice.choice(["failed", "gone", "unavailable"])}
        start = dice.randrange(3)
        lake.run(
            rows,
            run=run,
            contacts=["c1", "c2"],
            window=Window(MAY.start + timedelta(days=start), MAY.end - timedelta(days=start)),
            states=states,
            rejects=[reject(str(dice.randrange(3)), seen_at=run_moment(run))],
            is_whole=dice.random() < 0.7,
        )
        if dice.random() < 0.5:
            lake.load(run)
    lake.load(6)
    assert content(lake) == rebuilt(lake)
    ids = [row["interaction_id"] for row in lake.table("interactions")]
    assert len(ids) == len(set(ids))


# -- runs, ledger, rejects ------------------------------------------------------------------------


def test_each_run_window_and_source_is_one_row(lake: Lake) -> None:
    attempt = lake.run([observation()], contacts=["c1", "c2"], states={("c2", MAIN): "failed",
                       ("c2", ARCHIVE): "failed"}, rejects=[reject()])  # fmt: skip
    lake.load()
    rows = lake.table("runs")
    assert [(row["run_id"], row["source"], row["planned"], row["answered"], row["failed"])
            for row in rows] == [(attempt.run_id, "archive", 2, 1, 1),
                                 (attempt.run_id, "main", 2, 1, 1)]  # fmt: skip
    assert all(row["window_end"] == MAY.end for row in rows)


def requests_after(lake: Lake, days: float) -> set[tuple[str, str, str]]:
    """What the ledger still holds so long after the first run, when another run is loaded."""
    moment = NOON + timedelta(minutes=1, days=days)
    lake.run([], run=1, contacts=["later"], window=Window(date(2024, 5, 30), date(2024, 5, 31)))
    warehouse.load(lake.layout, moment)
    rows = lake.table("requests")
    return {(row["contact_id"], row["source"], row["state"]) for row in rows
            if row["contact_id"] != "later"}  # fmt: skip


STATES = {("c1", MAIN): "answered", ("c1", ARCHIVE): "unavailable", ("c2", MAIN): "gone",
          ("c2", ARCHIVE): "gone", ("c3", MAIN): "failed", ("c3", ARCHIVE): "failed"}  # fmt: skip


def test_the_ledger_keeps_thirty_days(lake: Lake) -> None:
    lake.run([], contacts=["c1", "c2", "c3"], states=STATES)
    lake.load()
    assert len(requests_after(lake, 29.99)) == 6


def test_after_thirty_days_only_failures_are_kept(lake: Lake) -> None:
    lake.run([], contacts=["c1", "c2", "c3"], states=STATES)
    lake.load()
    assert requests_after(lake, 30.01) == {("c3", "main", "failed"), ("c3", "archive", "failed")}


def test_a_failure_is_kept_until_a_later_answer_covers_its_days(lake: Lake) -> None:
    lake.run([], contacts=["c3"], states=STATES)
    lake.load()
    half = Window(MAY.start, MAY.start + timedelta(days=15))
    lake.run([], run=2, contacts=["c3"], window=half)
    lake.load(2)
    failures = {("c3", "main", "failed"), ("c3", "archive", "failed")}
    assert failures <= requests_after(lake, 40)
    other = Window(MAY.start + timedelta(days=15), MAY.end)
    lake.run([], run=3, contacts=["c3"], window=other, states={("c3", ARCHIVE): "gone"})
    warehouse.load(lake.layout, NOON + timedelta(days=50))
    assert ("c3", "archive", "failed") in {
        (row["contact_id"], row["source"], row["state"]) for row in lake.table("requests")
    }
    assert ("c3", "main", "failed") not in {
        (row["contact_id"], row["source"], row["state"]) for row in lake.table("requests")
    }


def test_an_answer_before_the_failure_does_not_make_up_for_it(lake: Lake) -> None:
    lake.run([], run=0, contacts=["c3"])
    lake.run([], run=1, contacts=["c3"], states=STATES)
    lake.load(1)
    warehouse.load(lake.layout, NOON + timedelta(days=1))
    lake.run([], run=2, contacts=["later"])
    warehouse.load(lake.layout, NOON + timedelta(days=60))
    assert ("c3", "failed") in {(row["contact_id"], row["state"]) for row in lake.table("requests")}


def test_runs_are_kept_for_ever(lake: Lake) -> None:
    lake.run([])
    lake.load()
    requests_after(lake, 4000)
    assert len({row["run_id"] for row in lake.table("runs")}) == 2


def test_a_record_set_aside_again_and_again_is_one_row(lake: Lake) -> None:
    for run in range(3):
        lake.run([], run=run, rejects=[reject(seen_at=run_moment(run))])
        lake.load(run)
    (row,) = lake.table("rejects")
    assert (row["payload"], row["seen_at"], row["resolved_at"]) == ("null", NOON, None)


def test_a_record_that_landed_later_is_resolved(lake: Lake) -> None:
    lake.run([], rejects=[reject('{"id":"a","startDate":""}', reason="start_unreadable")])
    lake.load()
    lake.run([observation("a", run=1)], run=1)
    lake.load(1)
    (row,) = lake.table("rejects")
    assert row["resolved_at"] == lake.interaction("a")["last_seen_at"]


def test_a_record_that_only_the_other_source_sends_readable_stays_set_aside(lake: Lake) -> None:
    lake.run([], rejects=[reject('{"id":"a","startDate":""}', reason="start_unreadable")])
    lake.run([observation("a", run=1, source="archive")], run=1)
    lake.load(1)
    (row,) = lake.table("rejects")
    assert row["resolved_at"] is None


# -- contacts -------------------------------------------------------------------------------------


def listed(lake: Lake, contacts: list[Contact], run: int = 0) -> None:
    spool = contact_list.ContactSpool(lake.layout)
    spool.add_pass([contacts])
    spool.keep(run_moment(run))
    spool.close()


def test_contacts_are_loaded_with_their_attributes(lake: Lake) -> None:
    listed(lake, [Contact("c1", {"name": "ß", "phones": [1, None]}), Contact("c2")])
    lake.load()
    rows = lake.table("contacts")
    assert [(row["contact_id"], row["attributes"]) for row in rows] == [
        ("c1", '{"name": "ß", "phones": [1, null]}'),
        ("c2", None),
    ]


def test_an_attribute_that_is_no_number_does_not_stop_all_loads(lake: Lake) -> None:
    listed(lake, [Contact("c1", {"score": float("nan")}), Contact("c2")])
    assert lake.load().contacts == 2


# -- one writer -----------------------------------------------------------------------------------


def test_a_load_waits_for_no_longer_than_its_deadline(lake: Lake) -> None:
    lake.load()
    with (
        warehouse.writing(lake.layout, "modelling", 0),
        pytest.raises(StorageError, match="modelling"),
        warehouse.writing(lake.layout, "loading", 0),
    ):
        pass


def test_a_day_file_that_changes_is_known_by_size_or_time(lake: Lake) -> None:
    lake.run([observation("a")])
    lake.load()
    path = lake.layout.day(D1)
    os.utime(path, ns=(1, 1))
    assert lake.load().day_files == 1
    assert lake.load().day_files == 0


def test_source_names_are_what_the_ledger_says(lake: Lake) -> None:
    lake.run([], sources=(Source.MAIN,))
    lake.load()
    assert {row["source"] for row in lake.table("requests")} == {"main"}
