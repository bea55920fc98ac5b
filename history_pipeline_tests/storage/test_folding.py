"""Which of several copies wins: law 5, against an oracle in Python."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history_pipeline.storage import folding
from history_pipeline.storage.days import KEY
from history_pipeline.storage.schemas import OBSERVATIONS
from history_pipeline_tests.storage.lake import Row, observation

ENDED = datetime(2024, 5, 1, 11, tzinfo=UTC)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = duckdb.connect(":memory:", config={"threads": 2, "preserve_insertion_order": False})
    opened.execute("set TimeZone = 'UTC'")
    yield opened
    opened.close()


def folded(
    connection: duckdb.DuckDBPyConnection, rows: list[Row], key: str = "interaction_id"
) -> list[Row]:
    arrived = pa.Table.from_pylist(rows, OBSERVATIONS)
    connection.register("arrived", arrived.append_column("copy_id", [range(len(rows))]))
    chosen = f"({folding.winners('arrived', key)})"
    query = folding.folded("arrived", chosen)
    result = connection.sql(query).to_arrow_table().select(OBSERVATIONS.names)
    return sorted(result.cast(OBSERVATIONS).to_pylist(), key=repr)


def winner(connection: duckdb.DuckDBPyConnection, *rows: Row) -> Row:
    (row,) = folded(connection, list(rows))
    return row


# Each rule alone: the better copy first. What is better by a later rule is worse by an earlier.
RULES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "an end date beats the newer run",
        {"ended_at": ENDED, "run": 0, "source": "archive", "contact_id": "other"},
        {"run": 5},
    ),
    (
        "the newer run beats main",
        {"run": 1, "source": "archive", "contact_id": "other"},
        {"run": 0, "source": "main"},
    ),
    (
        "main beats whose contact it is",
        {"source": "main", "contact_id": "other", "second": 1},
        {"source": "archive", "second": 2},
    ),
    (
        "whose contact it is beats the later moment",
        {"contact_id": "c1", "second": 1},
        {"contact_id": "other", "second": 2},
    ),
    (
        "no contact is not the contact asked for",
        {"contact_id": "c1", "second": 1},
        {"contact_id": None, "second": 2},
    ),
    ("the later moment wins last", {"second": 2}, {"second": 1}),
]


@pytest.mark.parametrize(
    ("better", "worse"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES]
)
def test_of_two_copies_wins(
    connection: duckdb.DuckDBPyConnection, better: dict[str, Any], worse: dict[str, Any]
) -> None:
    first, second = observation(subject="better", **better), observation(subject="worse", **worse)
    assert winner(connection, first, second)["subject"] == "better"
    assert winner(connection, second, first)["subject"] == "better"


def test_a_winner_is_taken_whole_and_not_patched_up(connection: duckdb.DuckDBPyConnection) -> None:
    newer = observation(run=1, subject=None, owner_id=None, attributes={})
    older = observation(run=0, subject="old", owner_id="o", attributes={"a": "1"})
    row = winner(connection, older, newer)
    assert (row["subject"], row["owner_id"], row["attributes"]) == (None, None, [])


def test_the_contact_comes_from_the_newest_observation_and_not_from_the_winner(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    ended = observation(run=0, ended_at=ENDED, contact_id="before the merge")
    newer = observation(run=1, contact_id="after the merge")
    row = winner(connection, ended, newer)
    assert (row["ended_at"], row["contact_id"]) == (ENDED, "after the merge")


def test_an_observation_without_a_contact_does_not_take_it_away(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    row = winner(connection, observation(run=0), observation(run=1, contact_id=None))
    assert row["contact_id"] == "c1"


def test_that_both_sources_held_it_is_kept(connection: duckdb.DuckDBPyConnection) -> None:
    row = winner(connection, observation(source="archive"), observation(source="main"))
    assert (row["source"], row["seen_in_main"], row["seen_in_archive"]) == ("main", True, True)


def test_first_and_last_sight_span_all_copies(connection: duckdb.DuckDBPyConnection) -> None:
    copies = [observation(run=run) for run in (1, 0, 2)]
    row = winner(connection, *copies)
    assert row["first_seen_at"] == copies[1]["first_seen_at"]
    assert row["last_seen_at"] == copies[2]["last_seen_at"]


def test_two_copies_in_one_answer_give_the_same_row_in_either_order(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    first, second = observation(state="Stopped"), observation(state="InProcess")
    forward = winner(connection, first, second)["state"]
    assert forward == winner(connection, second, first)["state"]


# -- any copies at all ----------------------------------------------------------------------------


def copy_of(parts: tuple[str, int, bool, str, str | None, str, tuple[str, ...]], n: int) -> Row:
    interaction_id, run, ended, source, contact_id, requested, asked = parts
    return observation(
        interaction_id, run=run, second=n, ended_at=ENDED if ended else None, source=source,
        contact_id=contact_id, requested_contact_id=requested, asked=asked, subject=f"copy {n}",
    )  # fmt: skip


COPIES = st.lists(
    st.tuples(
        st.sampled_from(["i1", "i2"]),
        st.integers(0, 2),
        st.booleans(),
        st.sampled_from(["main", "archive"]),
        st.sampled_from(["c1", "c2", None]),
        st.sampled_from(["c1", "c2"]),
        st.sampled_from([(), ("A",)]),
    ),
    min_size=1,
    max_size=8,
).map(lambda drawn: [copy_of(parts, n) for n, parts in enumerate(drawn)])


def oracle(rows: list[Row]) -> list[Row]:
    """Law 5, read aloud."""
    result = []
    for interaction_id in {row["interaction_id"] for row in rows}:
        copies = [row for row in rows if row["interaction_id"] == interaction_id]
        best = max(
            copies,
            key=lambda row: (
                row["ended_at"] is not None,
                row["run_at"],
                row["source"] == "main",
                row["is_own"],
                row["observed_at"],
            ),
        )
        named = [row for row in copies if row["contact_id"] is not None]
        newest = max(named, key=lambda row: row["observed_at"]) if named else None
        result.append(
            best
            | {
                "contact_id": newest and newest["contact_id"],
                "seen_in_main": any(row["seen_in_main"] for row in copies),
                "seen_in_archive": any(row["seen_in_archive"] for row in copies),
                "first_seen_at": min(row["first_seen_at"] for row in copies),
                "last_seen_at": max(row["last_seen_at"] for row in copies),
            }
        )
    return sorted(result, key=repr)


def without_key(rows: list[Row]) -> list[Row]:
    """Less what only serves further folding."""
    kept = [{name: row[name] for name in row if name != "contact_seen_at"} for row in rows]
    return sorted(kept, key=repr)


@settings(max_examples=30)
@given(COPIES)
def test_folding_follows_the_law(connection: duckdb.DuckDBPyConnection, rows: list[Row]) -> None:
    assert without_key(folded(connection, rows)) == without_key(oracle(rows))


@settings(max_examples=20)
@given(COPIES, st.data())
def test_folding_is_associative_and_knows_no_order(
    connection: duckdb.DuckDBPyConnection, rows: list[Row], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    cut = data.draw(st.integers(0, len(rows)))
    left, right = shuffled[:cut], shuffled[cut:]
    in_steps = folded(
        connection,
        [
            *(folded(connection, left) if left else []),
            *(folded(connection, right) if right else []),
        ],
    )
    assert in_steps == folded(connection, rows)


@settings(max_examples=20)
@given(COPIES)
def test_folding_by_day_file_first_changes_nothing(
    connection: duckdb.DuckDBPyConnection, rows: list[Row]
) -> None:
    """The lake folds by interaction, names asked and day; the warehouse folds those rows again."""
    assert folded(connection, folded(connection, rows, KEY)) == folded(connection, rows)


@settings(max_examples=10)
@given(COPIES)
def test_folding_twice_is_folding_once(
    connection: duckdb.DuckDBPyConnection, rows: list[Row]
) -> None:
    once = folded(connection, rows, KEY)
    assert folded(connection, once, KEY) == once
