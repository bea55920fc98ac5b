"""How every contact's days stand, against an oracle that keeps one outcome a day."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import resources

import duckdb
import pytest

from history_pipeline.storage import coverage

FIRST = date(2024, 1, 1)
STATES = ["answered", "failed", "gone", "unavailable"]


@dataclass(frozen=True)
class Window:
    """One loaded window: its days, and each contact's outcome for a source."""

    start: int
    end: int
    is_whole: bool
    at: int
    outcomes: dict[tuple[str, str], str]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    opened = duckdb.connect(":memory:", config={"threads": 2})
    opened.execute("set TimeZone = 'UTC'")
    opened.execute(
        resources.files("history_pipeline.storage").joinpath("schema.sql").read_text("utf-8")
    )
    yield opened
    opened.close()


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def merge(connection: duckdb.DuckDBPyConnection, window: Window) -> None:
    connection.execute(
        "create or replace temp table requests "
        "(contact_id varchar, source varchar, state varchar, finished_at timestamptz)"
    )
    at = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=window.at)
    if window.outcomes:
        connection.executemany(
            "insert into requests values (?, ?, ?, ?)",
            [[contact, source, state, at] for (contact, source), state in window.outcomes.items()],
        )
    coverage.merge(
        connection,
        start=day(window.start).isoformat(),
        end=day(window.end).isoformat(),
        is_whole=window.is_whole,
    )
    connection.execute("drop table requests")


Standing = dict[tuple[str, str, date], tuple[str, bool]]


def standing(connection: duckdb.DuckDBPyConnection) -> Standing:
    """State by contact, source and day. Fails where two spans hold the same day."""
    days: Standing = {}
    rows = connection.execute(
        "select contact_id, source, span_start, span_end, state, is_whole from raw_gws.coverage"
    ).fetchall()
    for contact, source, start, end, state, is_whole in rows:
        assert start < end
        for n in range((end - start).days):
            key = (contact, source, start + timedelta(days=n))
            assert key not in days
            days[key] = (state, is_whole)
    return days


def oracle(windows: list[Window]) -> Standing:
    """The rule of the module's docstring, a day at a time."""
    best: dict[tuple[str, str, date], tuple[bool, bool, int, str]] = {}
    for window in windows:
        for (contact, source), state in window.outcomes.items():
            rank = (window.is_whole and state == "answered", window.is_whole, window.at, state)
            for n in range(window.start, window.end):
                key = (contact, source, day(n))
                best[key] = max(best.get(key, rank), rank)
    return {key: (rank[3], rank[1]) for key, rank in best.items()}


def drawn(dice: random.Random, at: int, states: list[str]) -> Window:
    start = dice.randrange(0, 25)
    pairs = [(contact, source) for contact in "abc" for source in ("main", "archive")]
    return Window(
        start,
        start + dice.randrange(1, 12),
        dice.random() < 0.7,
        at,
        {pair: dice.choice(states) for pair in pairs if dice.random() < 0.8},
    )


def worked(windows: list[Window], connection: duckdb.DuckDBPyConnection) -> Standing:
    for window in windows:
        merge(connection, window)
    return standing(connection)


@pytest.mark.parametrize("seed", range(5))
def test_windows_loaded_as_they_were_asked_stand_as_the_rule_says(
    connection: duckdb.DuckDBPyConnection, seed: int
) -> None:
    dice = random.Random(seed)
    windows = [drawn(dice, at, STATES) for at in range(9)]
    assert worked(windows, connection) == oracle(windows)


@pytest.mark.parametrize("seed", range(2))
def test_answers_stand_in_whatever_order_they_are_loaded(
    connection: duckdb.DuckDBPyConnection, seed: int
) -> None:
    dice = random.Random(seed)
    windows = [drawn(dice, at, ["answered"]) for at in range(9)]
    dice.shuffle(windows)
    assert worked(windows, connection) == oracle(windows)


def test_a_failure_that_is_loaded_late_is_not_covered_up_by_a_neighbours_moment(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """Neighbours that are unavailable are one span, so its moment says less than each had."""
    pair = ("a", "main")
    windows = [
        Window(0, 10, True, 1, {pair: "unavailable"}),
        Window(10, 20, True, 3, {pair: "unavailable"}),
        Window(0, 10, True, 2, {pair: "failed"}),
    ]
    assert worked(windows, connection) == oracle(windows)


def test_an_outcome_that_is_loaded_late_is_compared_with_its_own_days_moment(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """A resumed attempt brings answers that are older than what another has loaded meanwhile."""
    pair = ("a", "main")
    windows = [
        Window(0, 10, True, 1, {pair: "gone"}),
        Window(10, 20, True, 3, {pair: "gone"}),
        Window(0, 10, True, 2, {pair: "failed"}),
    ]
    assert worked(windows, connection) == oracle(windows)


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        (("answered", True), ("failed", True), ("answered", True)),
        (("answered", True), ("gone", True), ("answered", True)),
        (("failed", True), ("answered", True), ("answered", True)),
        (("failed", True), ("gone", True), ("gone", True)),
        (("gone", True), ("failed", True), ("failed", True)),
        (("failed", True), ("answered", False), ("failed", True)),
        (("answered", False), ("failed", True), ("failed", True)),
        (("answered", False), ("failed", False), ("failed", False)),
        (("unavailable", True), ("answered", True), ("answered", True)),
        (("answered", True), ("unavailable", True), ("answered", True)),
    ],
)
def test_of_two_outcomes_stands(
    connection: duckdb.DuckDBPyConnection,
    first: tuple[str, bool],
    second: tuple[str, bool],
    stands: tuple[str, bool],
) -> None:
    windows = [
        Window(0, 3, is_whole, at, {("a", "main"): state})
        for at, (state, is_whole) in enumerate([first, second])
    ]
    assert set(worked(windows, connection).values()) == {stands}


def test_neighbours_that_stand_alike_are_one_span(connection: duckdb.DuckDBPyConnection) -> None:
    for month in range(12):
        merge(
            connection,
            Window(month * 10, month * 10 + 10, True, month, {("a", "main"): "answered"}),
        )
    rows = connection.execute("select span_start, span_end from raw_gws.coverage").fetchall()
    assert rows == [(day(0), day(120))]


def test_a_gap_stays_a_gap(connection: duckdb.DuckDBPyConnection) -> None:
    pair = {("a", "main"): "answered"}
    days = worked([Window(0, 3, True, 0, pair), Window(5, 8, True, 1, pair)], connection)
    assert sorted(key[2] for key in days) == [day(n) for n in (0, 1, 2, 5, 6, 7)]


def test_contacts_and_sources_do_not_mix(connection: duckdb.DuckDBPyConnection) -> None:
    worked(
        [Window(0, 5, True, 0, {("a", "main"): "answered", ("b", "main"): "failed"})], connection
    )
    days = worked([Window(2, 8, True, 1, {("a", "archive"): "failed"})], connection)
    assert days["a", "main", day(3)] == ("answered", True)
    assert days["b", "main", day(3)] == ("failed", True)
    assert days["a", "archive", day(3)] == ("failed", True)
    assert ("b", "archive", day(3)) not in days


def test_merging_the_same_window_again_changes_nothing(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    windows = [drawn(random.Random(3), at, STATES) for at in range(6)]
    once = worked(windows, connection)
    for window in windows:
        merge(connection, window)
    assert standing(connection) == once


def test_a_window_without_requests_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    before = worked([Window(0, 5, True, 0, {("a", "main"): "answered"})], connection)
    assert worked([Window(0, 5, True, 1, {})], connection) == before
