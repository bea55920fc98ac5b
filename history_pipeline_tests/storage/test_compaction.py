"""A finished window's parts become day files and a ledger, or nothing at all."""

from __future__ import annotations

import json
import shutil
import stat
from datetime import date, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from history_pipeline.errors import MemoryExhausted, StorageError
from history_pipeline.model import TRUNCATED, RequestState, Source
from history_pipeline.storage import compaction, days, parts, splitting
from history_pipeline.storage.attempts import Attempt
from history_pipeline_tests.storage.lake import (
    BOTH,
    MAY,
    NOON,
    SCOPE,
    Lake,
    ledger_row,
    observation,
    reject,
    write_part,
)

MAIN, ARCHIVE = BOTH


def whole_ledger(attempt: Attempt) -> list[dict[str, object]]:
    return [
        ledger_row(contact_id, source)
        for contact_id in attempt.contact_ids().to_pylist()
        for source in BOTH
    ]


def put_in_place(lake: Lake) -> list[Path]:
    """Everything in the lake but the attempt itself."""
    found = [*lake.layout.days.rglob("*"), *lake.layout.ledger.rglob("*")]
    return [path for path in found if path.is_file()]


def test_what_parts_hold_lies_in_its_days_files(lake: Lake) -> None:
    rows = [observation("a", window_date=date(2024, 5, 1)),
            observation("b", window_date=date(2024, 5, 2)),
            observation("c", window_date=date(2024, 5, 2))]  # fmt: skip
    lake.run(rows)
    assert [row["interaction_id"] for row in lake.day_rows(date(2024, 5, 1))] == ["a"]
    assert [row["interaction_id"] for row in lake.day_rows(date(2024, 5, 2))] == ["b", "c"]


def test_nothing_of_a_row_is_changed_on_its_way(lake: Lake) -> None:
    row = observation(
        "a",
        subject="ß \U0001f600 \x00 '",
        extra='{"x":1}',
        attributes={"OrderNo": "", "orderno": "2"},
    )
    lake.run([row])
    (kept,) = lake.day_rows()
    assert kept == row


@pytest.mark.parametrize("missing", [("c1", MAIN), ("c1", ARCHIVE), ("c2", ARCHIVE)])
def test_a_missing_request_puts_nothing_in_place(lake: Lake, missing: tuple[str, Source]) -> None:
    lake.run([observation("old")], run=0)
    before = {path: path.read_bytes() for path in put_in_place(lake)}
    attempt = lake.start(["c1", "c2"], run=1)
    ledger = [row for row in whole_ledger(attempt)
              if (row["contact_id"], row["source"]) != (missing[0], missing[1].value)]  # fmt: skip
    write_part(attempt, MAY, rows=[observation("new", run=1)], ledger=ledger)
    with pytest.raises(StorageError, match=f"{missing[1].value}: 2 requests were planned, but 1"):
        lake.compact(attempt)
    assert {path: path.read_bytes() for path in put_in_place(lake)} == before
    assert parts.settled(attempt.window_directory(MAY)).num_rows == 3


def test_a_window_of_which_no_part_is_there_puts_nothing_in_place(lake: Lake) -> None:
    with pytest.raises(StorageError, match="no part"):
        lake.compact(lake.start())
    assert put_in_place(lake) == []


def test_a_strangers_request_does_not_stand_in_for_a_missing_one(lake: Lake) -> None:
    attempt = lake.start(["c1", "c2"])
    ledger = [ledger_row(name, source) for name in ("c1", "stranger") for source in BOTH]
    write_part(attempt, MAY, ledger=ledger)
    with pytest.raises(StorageError, match="2 requests were planned, but 1"):
        lake.compact(attempt)


def test_a_request_that_was_put_down_twice_counts_once_and_its_answer_counts(lake: Lake) -> None:
    attempt = lake.start()
    later = NOON + timedelta(hours=1)
    write_part(attempt, MAY, ledger=[ledger_row("c1", MAIN, interactions=3)])
    write_part(attempt, MAY, ledger=[ledger_row("c1", MAIN, state="failed", finished_at=later),
                                     ledger_row("c1", ARCHIVE)])  # fmt: skip
    (main, archive) = compaction.compact(lake.layout, attempt, MAY, BOTH, SCOPE, NOON)
    assert main.states[RequestState.ANSWERED] == archive.states[RequestState.ANSWERED] == 1
    assert main.interactions == 3


def test_a_request_that_was_put_down_twice_keeps_the_retries_of_both(lake: Lake) -> None:
    attempt = lake.start()
    write_part(attempt, MAY, ledger=[ledger_row("c1", MAIN, attempts=3)])
    write_part(attempt, MAY, ledger=[ledger_row("c1", MAIN, attempts=2), ledger_row("c1", ARCHIVE)])
    compaction.compact(lake.layout, attempt, MAY, BOTH, SCOPE, NOON)
    ledger = pq.read_table(lake.layout.window_ledger(attempt.run_id, MAY) / "ledger.parquet")
    kept = {row["source"]: row["attempts"] for row in ledger.to_pylist()}
    assert kept == {"main": 4, "archive": 1}


def test_an_answer_that_was_found_to_be_cut_does_not_count(lake: Lake) -> None:
    attempt = lake.start()
    cut = {"state": "failed", "error": TRUNCATED, "interactions": 5}
    write_part(attempt, MAY, ledger=[ledger_row("c1", MAIN, interactions=3)])
    write_part(attempt, MAY, ledger=[ledger_row("c1", MAIN, **cut), ledger_row("c1", ARCHIVE)])
    (main, _) = compaction.compact(lake.layout, attempt, MAY, BOTH, SCOPE, NOON)
    assert main.states[RequestState.FAILED] == 1
    assert main.interactions == 5, "what came is counted"


@pytest.mark.parametrize("held_bytes", [splitting.HELD_BYTES, 1])
@pytest.mark.parametrize("is_short_of_memory", [False, True])
def test_what_was_set_apart_while_asking_is_there_whole(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, held_bytes: int, is_short_of_memory: bool
) -> None:
    monkeypatch.setattr(splitting, "HELD_BYTES", held_bytes)
    put_in_place_, tries = days.put_in_place, []

    def short_of_memory(connection: Any, fresh: Any, *place: Any, **more: Any) -> None:
        tries.append(fresh)
        if len(tries) == 1 and is_short_of_memory:
            put_in_place_(connection, fresh[:1], *place, **more)
            raise MemoryExhausted("after the first day")
        put_in_place_(connection, fresh, *place, **more)

    monkeypatch.setattr(days, "put_in_place", short_of_memory)
    attempt = lake.start(["c1", "c2"])
    rows = [
        observation(f"i{number:02}", window_date=date(2024, 5, 1 + number % 3))
        for number in range(12)
    ]
    # the first part is an earlier try's: nobody was told of it
    write_part(attempt, MAY, rows=rows[:5], ledger=[])
    with compaction.Intake(lake.layout, attempt, MAY) as intake:
        for some in (rows[5:8], rows[8:]):
            part = write_part(attempt, MAY, rows=some, ledger=whole_ledger(attempt))
            intake.take(part, pq.read_table(part / parts.OBSERVATIONS_FILE))
        compaction.compact(lake.layout, attempt, MAY, BOTH, SCOPE, NOON, intake)
    kept = [row for day in (1, 2, 3) for row in lake.day_rows(date(2024, 5, day))]
    assert sorted(kept, key=itemgetter("interaction_id")) == rows
    assert len(tries) == 1 + is_short_of_memory
    assert not any("." in path.name for path in lake.layout.scratch.iterdir())


@pytest.mark.parametrize("contacts", [0, 1, 7])
def test_the_states_add_up_to_the_plan(lake: Lake, contacts: int) -> None:
    ids = [f"c{n}" for n in range(contacts)]
    ends = ["answered", "failed", "gone"]
    attempt = lake.start(ids)
    ledger = [ledger_row(name, source, state=ends[n % 3])
              for n, name in enumerate(ids) for source in BOTH]  # fmt: skip
    if ledger:
        write_part(attempt, MAY, ledger=ledger)
    for account in compaction.compact(lake.layout, attempt, MAY, BOTH, SCOPE, NOON):
        assert sum(account.states.values()) == account.planned == contacts
    assert lake.layout.window_ledger(attempt.run_id, MAY).is_dir()


def test_the_ledgers_directory_says_what_the_run_may_claim(lake: Lake) -> None:
    attempt = lake.run([observation()], states={("c1", ARCHIVE): "unavailable"}, is_whole=False)
    told = json.loads((lake.layout.window_ledger(attempt.run_id, MAY) / "run.json").read_bytes())
    assert (told["window_start"], told["window_end"]) == ("2024-05-01", "2024-06-01")
    assert told["scope"]["is_whole"] is False
    assert {one["source"]: one["unavailable"] for one in told["accounts"]} == {
        "main": 0,
        "archive": 1,
    }


# -- union ----------------------------------------------------------------------------------------


def test_a_day_is_the_union_of_what_it_held_and_the_new_answers(lake: Lake) -> None:
    lake.run([observation("gone from the server"), observation("still there")], run=0)
    lake.run([observation("still there", run=1), observation("new", run=1)], run=1)
    ids = [row["interaction_id"] for row in lake.day_rows()]
    assert ids == ["gone from the server", "new", "still there"]


def test_an_empty_answer_leaves_the_day_as_it_was(lake: Lake) -> None:
    lake.run([observation("a")], run=0)
    before = lake.layout.day(date(2024, 5, 1)).read_bytes()
    lake.run([], run=1)
    assert lake.layout.day(date(2024, 5, 1)).read_bytes() == before


def test_days_that_the_answers_do_not_touch_stay_as_they_were(lake: Lake) -> None:
    lake.run([observation("a", window_date=date(2024, 5, 1))], run=0)
    lake.run([observation("b", run=1, window_date=date(2024, 5, 2))], run=1)
    assert [row["interaction_id"] for row in lake.day_rows(date(2024, 5, 1))] == ["a"]


def test_answers_that_asked_for_different_names_stand_side_by_side(lake: Lake) -> None:
    lake.run([observation("a", asked=("X",), attributes={"X": "1"})], run=0)
    lake.run([observation("a", run=1, asked=("Y",), attributes={"Y": "2"})], run=1)
    assert [row["asked"] for row in lake.day_rows()] == ['["X"]', '["Y"]']


def test_an_attribute_that_was_not_asked_for_is_not_replaced_by_its_absence(lake: Lake) -> None:
    # who flattens says that an answer speaks of what it was sent unasked
    lake.run([observation("a", attributes={"unasked": "1"}, asked=("unasked",))], run=0)
    lake.run([observation("a", run=1)], run=1)
    lake.load(run=1)
    assert lake.attributes("a") == {"unasked": "1"}


# -- killed in the middle -------------------------------------------------------------------------


def test_a_repeated_compaction_gives_the_same_rows(lake: Lake, tmp_path: Path) -> None:
    lake.run([observation(f"i{n}", source="archive") for n in range(20)], run=0)
    attempt = lake.start(run=1)
    rows = [observation(f"i{n}", run=1, second=n) for n in range(10, 30)]
    write_part(attempt, MAY, rows=rows, ledger=whole_ledger(attempt), rejects=[reject()])
    saved = tmp_path / "saved"
    shutil.copytree(attempt.directory, saved)
    lake.compact(attempt)
    target = lake.layout.window_ledger(attempt.run_id, MAY)
    once = (lake.day_rows(), (target / "run.json").read_bytes())
    # killed between the day files and the ledger: the parts are there still, the ledger is not
    shutil.rmtree(target)
    shutil.copytree(saved, attempt.directory, dirs_exist_ok=True)
    lake.compact(attempt)
    assert (lake.day_rows(), (target / "run.json").read_bytes()) == once


def test_leftovers_of_a_killed_compaction_are_in_nobodys_way(lake: Lake) -> None:
    attempt = lake.start()
    write_part(attempt, MAY, rows=[observation()], ledger=whole_ledger(attempt))
    day = lake.layout.day(date(2024, 5, 1))
    day.parent.mkdir(parents=True)
    day.with_name(f".{day.name}.new").write_bytes(b"half a file")
    target = lake.layout.window_ledger(attempt.run_id, MAY)
    target.with_name(f".{target.name}.new").mkdir(parents=True)
    (target.with_name(f".{target.name}.new") / "ledger.parquet").write_bytes(b"half a file")
    lake.compact(attempt)
    assert len(lake.day_rows()) == 1
    assert sorted(path.name for path in target.iterdir()) == ["ledger.parquet", "run.json"]


def test_a_finished_windows_parts_are_gone(lake: Lake) -> None:
    attempt = lake.start()
    write_part(attempt, MAY, ledger=whole_ledger(attempt))
    lake.compact(attempt)
    assert not attempt.window_directory(MAY).exists()


# -- rejects and modes ----------------------------------------------------------------------------


def test_a_record_set_aside_twice_is_kept_once_as_it_was_first_seen(lake: Lake) -> None:
    again = NOON + timedelta(hours=1)
    attempt = lake.run(rejects=[reject("x", seen_at=again), reject("x"), reject("y")])
    path = lake.layout.window_ledger(attempt.run_id, MAY) / parts.REJECTS_FILE
    kept = pq.read_table(path).to_pylist()
    assert sorted((row["payload"], row["seen_at"]) for row in kept) == [("x", NOON), ("y", NOON)]


def test_every_file_of_the_lake_belongs_to_its_owner_alone(lake: Lake) -> None:
    lake.run([observation()], rejects=[reject()])
    lake.start(run=1)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in lake.layout.lake.rglob("*.*")
             if path.is_file()}  # fmt: skip
    assert len(modes) == 7
    assert set(modes.values()) == {0o600}
