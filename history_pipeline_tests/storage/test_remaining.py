"""What is left to ask: no more than that, and nothing less."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pytest

from history_pipeline.errors import StorageError
from history_pipeline.model import Source, Window
from history_pipeline.storage import attempts
from history_pipeline.storage.remaining import remaining
from history_pipeline_tests.storage.lake import (
    BOTH,
    MAY,
    SCOPE,
    Lake,
    ledger_row,
    run_moment,
    write_part,
)

MAIN, ARCHIVE = BOTH
JUNE = Window(MAY.end, date(2024, 7, 1))
Asked = set[tuple[str, str]]


def left(lake: Lake, *contacts: str, windows: tuple[Window, ...] = (MAY,)) -> Asked:
    """Contacts and sources; of several windows, with the month."""
    lake.load()
    rows = remaining(lake.layout, list(windows), BOTH, pa.array(contacts) if contacts else None)
    several = len(windows) > 1
    return {
        (
            row["contact_id"],
            f"{row['source']} {row['window_start']:%B}" if several else row["source"],
        )
        for row in rows.to_pylist()
    }


def both(*contacts: str) -> Asked:
    return {(contact, source.value) for contact in contacts for source in BOTH}


def test_where_all_is_answered_nothing_is_left(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"])
    assert left(lake, "c1", "c2") == set()


def test_a_contact_that_is_gone_is_not_asked_again(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c2", MAIN): "gone", ("c2", ARCHIVE): "gone"})
    assert left(lake, "c1", "c2") == set()


@pytest.mark.parametrize("state", ["failed", "unavailable"])
def test_an_archive_without_an_answer_is_asked_alone_and_a_witness_beside_it(
    lake: Lake, state: str
) -> None:
    lake.run(contacts=["c1", "c2", "c3"], states={("c2", ARCHIVE): state})
    assert left(lake, "c1", "c2", "c3") == {("c2", "archive")} | both("c1")


def test_the_witness_is_one_of_whom_nothing_is_left(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c1", ARCHIVE): "failed"})
    assert left(lake, "c1", "c2") == {("c1", "archive")} | both("c2")


def test_archive_is_asked_again_after_main(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c2", MAIN): "failed"})
    assert left(lake, "c1", "c2") == both("c1", "c2")


def test_a_contact_that_entered_the_list_later_is_asked(lake: Lake) -> None:
    lake.run(contacts=["c1"])
    assert left(lake, "c1", "new") == both("c1", "new")


def test_a_contact_that_left_the_list_is_not_asked(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c2", ARCHIVE): "unavailable"})
    assert left(lake, "c1") == set()


def test_a_contact_that_left_the_list_is_asked_where_its_failure_stands(lake: Lake) -> None:
    """Or else its days would stay incomplete for ever, and nothing would be left to ask."""
    lake.run(contacts=["c1", "c2"], states={("c2", MAIN): "failed", ("c2", ARCHIVE): "failed"})
    assert left(lake, "c1") == both("c1", "c2")


def test_a_contact_that_left_the_list_is_asked_where_only_a_narrowed_run_did(lake: Lake) -> None:
    lake.run(contacts=["c1"])
    lake.run(contacts=["c2"], run=1, is_whole=False)
    assert left(lake, "c1") == both("c1", "c2")


def test_the_witness_is_found_when_the_ledger_has_forgotten_its_answers(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c2", MAIN): "failed", ("c2", ARCHIVE): "failed"})
    lake.run(contacts=[], run=0, window=JUNE)
    lake.load(run=60)
    assert {row["contact_id"] for row in lake.table("requests")} == {"c2"}
    assert left(lake, "c1", "c2") == both("c1", "c2")


def test_days_that_a_narrowed_run_asked_are_left(lake: Lake) -> None:
    lake.run(contacts=["c1"], is_whole=False)
    assert left(lake, "c1") == both("c1")


def test_a_window_that_is_answered_in_part_is_asked_whole(lake: Lake) -> None:
    lake.run(contacts=["c1"], window=Window(MAY.start, MAY.start + timedelta(days=20)))
    assert left(lake, "c1") == both("c1")


def test_windows_answered_piece_by_piece_are_whole(lake: Lake) -> None:
    middle = MAY.start + timedelta(days=20)
    lake.run(contacts=["c1"], window=Window(MAY.start, middle))
    lake.run(contacts=["c1"], run=1, window=Window(middle, MAY.end))
    assert left(lake, "c1") == set()


def test_each_window_is_looked_at_by_itself(lake: Lake) -> None:
    lake.run(contacts=["c1"], window=MAY)
    lake.run(contacts=["c1"], run=1, window=JUNE, states={("c1", ARCHIVE): "failed"})
    assert left(lake, "c1", windows=(MAY, JUNE)) == {("c1", "archive June"), ("c1", "main June")}


def test_where_nobody_is_listed_those_who_were_asked_count(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c2", ARCHIVE): "unavailable"})
    assert left(lake) == {("c2", "archive")} | both("c1")


# -- attempts at no more than that ----------------------------------------------------------------


def rest(lake: Lake, *requests: tuple[str, Source]) -> attempts.Attempt:
    plan = pa.table(
        {
            "contact_id": [contact for contact, _ in requests],
            "window_start": [MAY.start] * len(requests),
            "source": [source.value for _, source in requests],
        }
    )
    return attempts.start(
        lake.layout, MAY, "rest", plan["contact_id"].unique(), run_moment(1), plan=plan
    )


def test_a_planned_attempt_exempts_what_it_does_not_ask(lake: Lake) -> None:
    attempt = rest(lake, ("c2", MAIN), ("c2", ARCHIVE), ("c1", ARCHIVE))
    planned = attempt.planned(MAY, BOTH)
    assert planned.contact_ids.to_pylist() == ["c1", "c2"]
    assert planned.exempt.to_pylist() == [{"contact_id": "c1", "source": "main"}]
    assert planned.requests(len(BOTH)) == 3
    assert len(attempt.planned(JUNE, BOTH).contact_ids) == 0


def test_it_is_finished_when_what_was_planned_is_accounted_for_and_not_before(lake: Lake) -> None:
    attempt = rest(lake, ("c2", MAIN), ("c2", ARCHIVE), ("c1", ARCHIVE))
    write_part(attempt, MAY, ledger=[ledger_row("c2", MAIN), ledger_row("c2", ARCHIVE)])
    with pytest.raises(StorageError, match="archive: 2 requests were planned, but 1"):
        lake.compact(attempt)
    write_part(attempt, MAY, ledger=[ledger_row("c1", ARCHIVE)])
    lake.compact(attempt)
    assert attempts.finish(attempt).is_finished
    assert not attempt.plan.exists()


def test_what_it_settles_is_left_no_more(lake: Lake) -> None:
    lake.run(contacts=["c1", "c2"], states={("c1", ARCHIVE): "failed"})
    assert left(lake, "c1", "c2") >= {("c1", "archive")}
    attempt = rest(lake, ("c1", ARCHIVE))
    later = run_moment(1) + timedelta(minutes=1)
    write_part(attempt, MAY, ledger=[ledger_row("c1", ARCHIVE, finished_at=later)])
    lake.compact(attempt, **SCOPE)
    attempts.finish(attempt)
    assert left(lake, "c1", "c2") == set()
