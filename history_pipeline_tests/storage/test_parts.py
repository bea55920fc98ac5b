"""A part is there whole, with its ledger, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pytest

from history_pipeline.errors import StorageError
from history_pipeline.model import TRUNCATED, Source
from history_pipeline.storage import parts
from history_pipeline.storage.schemas import LEDGER, OBSERVATIONS, PART_LEDGER, REJECTS
from history_pipeline_tests.storage.lake import ledger_row, observation


def write(directory: Path, ordinal: int, *contacts: str) -> None:
    parts.write(
        directory,
        ordinal,
        pa.Table.from_pylist([observation(name) for name in contacts], OBSERVATIONS),
        REJECTS.empty_table(),
        pa.Table.from_pylist([ledger_row(name, Source.MAIN) for name in contacts], LEDGER),
    )


def test_a_window_that_was_never_written_has_no_parts(tmp_path: Path) -> None:
    assert parts.whole(tmp_path / "absent") == []
    assert parts.next_ordinal(tmp_path / "absent") == 1
    assert parts.settled(tmp_path / "absent").num_rows == 0


def test_what_parts_hold_is_settled(tmp_path: Path) -> None:
    write(tmp_path, 1, "a", "b")
    write(tmp_path, 2, "c")
    settled = parts.settled(tmp_path)
    assert settled.column_names == ["contact_id", "source", "state"]
    assert settled["contact_id"].to_pylist() == ["a", "b", "c"]
    assert parts.next_ordinal(tmp_path) == 3


def test_a_request_that_was_put_down_twice_was_answered_unless_it_is_cut(tmp_path: Path) -> None:
    write(tmp_path, 1, "a", "b")
    rows = [
        ledger_row("a", Source.MAIN, state="failed", error=TRUNCATED),
        ledger_row("b", Source.MAIN, state="failed", error="deadline"),
    ]
    parts.write(
        tmp_path, 2, OBSERVATIONS.empty_table(), REJECTS.empty_table(),
        pa.Table.from_pylist(rows, PART_LEDGER),
    )  # fmt: skip
    states = parts.settled(tmp_path).to_pylist()
    assert {row["contact_id"]: row["state"] for row in states} == {"a": "failed", "b": "answered"}


def test_lengths_are_known_of_answers_that_were_taken_as_they_came(tmp_path: Path) -> None:
    write(tmp_path, 1, "an older version's")
    rows = [
        ledger_row("a", Source.MAIN, received=7),
        ledger_row("b", Source.ARCHIVE, received=0),
        ledger_row("c", Source.MAIN, received=None),
    ]
    parts.write(
        tmp_path, 2, OBSERVATIONS.empty_table(), REJECTS.empty_table(),
        pa.Table.from_pylist(rows, PART_LEDGER),
    )  # fmt: skip
    taken = [tuple(row.values()) for row in parts.taken(tmp_path).to_pylist()]
    assert taken == [("a", "main", 7), ("b", "archive", 0)]


def test_a_part_that_a_kill_left_half_written_counts_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, 1, "a")
    half = tmp_path / ".new-000002"
    half.mkdir()
    (half / parts.OBSERVATIONS_FILE).write_bytes(b"half a fi")
    assert parts.settled(tmp_path).num_rows == 1
    assert parts.next_ordinal(tmp_path) == 2
    write(tmp_path, 2, "b")
    assert parts.settled(tmp_path)["contact_id"].to_pylist() == ["a", "b"]


def test_ordinals_go_on_beyond_their_width(tmp_path: Path) -> None:
    write(tmp_path, 999_999, "a")
    assert parts.next_ordinal(tmp_path) == 1_000_000


def test_a_part_without_records_holds_its_ledger_alone(tmp_path: Path) -> None:
    parts.write(
        tmp_path, 1, OBSERVATIONS.empty_table(), REJECTS.empty_table(),
        pa.Table.from_pylist([ledger_row("a", Source.MAIN)], LEDGER),
    )  # fmt: skip
    assert [path.name for path in (tmp_path / "part-000001").iterdir()] == [parts.LEDGER_FILE]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    write(tmp_path, 1, "a")
    (tmp_path / "part-000001" / parts.LEDGER_FILE).write_bytes(b"PAR1 damaged")
    with pytest.raises(StorageError, match="part-000001 is damaged"):
        parts.settled(tmp_path)


def test_a_part_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path, 1, "a")
    with pytest.raises(StorageError):
        write(tmp_path, 1, "b")
    assert parts.settled(tmp_path)["contact_id"].to_pylist() == ["a"]


def test_parts_belong_to_their_owner_alone(tmp_path: Path) -> None:
    write(tmp_path / "w", 1, "a")
    for path in [tmp_path / "w", *(tmp_path / "w").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
