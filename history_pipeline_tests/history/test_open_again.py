"""When an open interaction is asked again: at ages that grow by a quarter, within a budget."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from history_pipeline.history.open_again import Ask, budget, choose, lateness, tile
from history_pipeline.model import OpenInteraction, Source, Window

NOW = datetime(2026, 6, 1, 4, tzinfo=UTC)
WIDTH = 31
MANY = 1_000


def days(number: float) -> timedelta:
    return timedelta(days=number)


def opened(
    age: float, asked: float, contact_id: str = "c1", is_missing: bool = False
) -> OpenInteraction:
    """So many days old by now, and last asked at an age of `asked` days."""
    started_at = NOW - days(age)
    return OpenInteraction(
        contact_id, started_at.date(), started_at, started_at + days(asked), is_missing
    )


def is_due(age: float, asked: float) -> bool:
    return lateness(opened(age, asked), NOW) > 1


@pytest.mark.parametrize(
    ("asked", "age", "due"),
    [
        (7, 7.4, False),  # twice on one day
        (7, 8, True),  # the next run would come at 9, its place is at 8.75
        (10, 11, False),
        (10, 12, True),
        (20, 22, False),
        (20, 24, True),
        (100, 122, False),
        (100, 123, True),
        (400, 490, False),
        (400, 498, True),
    ],
)
def test_it_is_asked_by_the_last_run_before_its_age_has_grown_by_a_quarter(
    asked: float, age: float, due: bool
) -> None:
    assert is_due(age, asked) is due


def test_what_was_not_asked_since_its_start_is_the_most_overdue() -> None:
    assert lateness(opened(20, 0), NOW) == float("inf")


def places(lookback: float, until: float) -> Iterator[float]:
    """Ages at which daily runs ask, from the last one that asks anyway."""
    asked = age = lookback
    while age < until:
        age += 1
        if is_due(age, asked):
            asked = age
            yield age


@pytest.mark.parametrize("lookback", [5, 7, 7.6, 14, 31])
def test_daily_runs_see_every_end_within_a_quarter_of_its_age(lookback: float) -> None:
    asked = [lookback, *places(lookback, 2_000)]
    steps = [later / earlier for earlier, later in pairwise(asked)]
    assert max(steps) <= 1.25


def test_one_that_never_ends_is_asked_twenty_times_in_its_first_year_and_ten_in_nine_more() -> None:
    assert list(places(7, 30)) == [8, 9, 11, 13, 15, 17, 20, 23, 27]
    assert len(list(places(7, 365))) == 21
    assert len(list(places(365, 10 * 365))) == 10


def test_windows_lie_side_by_side_wherever_a_run_begins() -> None:
    first = tile(date(2026, 5, 5), WIDTH)
    assert first.days == WIDTH
    assert {tile(day, WIDTH) for day in first} == {first}
    assert tile(first.end, WIDTH) == Window(first.end, first.end + days(WIDTH))


def test_a_contacts_interactions_in_one_window_share_a_request() -> None:
    start = tile((NOW - days(100)).date(), WIDTH).start
    age = (NOW.date() - start).days - 1
    ones = [opened(age, age - 60), opened(age - 10, age - 70), opened(age - 20, age - 26)]
    chosen = choose(ones, NOW, WIDTH, MANY)
    assert chosen.asks == [Ask("c1", start, Source.MAIN, 2)], "the third is not due: it comes along"
    assert (chosen.due, chosen.left) == (2, 0)


def test_contacts_and_windows_are_asked_apart() -> None:
    ones = [opened(100, 50, "c1"), opened(60, 30, "c1"), opened(60, 30, "c2")]
    asks = choose(ones, NOW, WIDTH, MANY).asks
    assert {ask.contact_id for ask in asks} == {"c1", "c2"}
    assert len(asks) == 3


def test_the_most_overdue_go_first_and_the_others_are_told_of() -> None:
    ones = [opened(60, 60 - n, f"c{n:02}") for n in range(20, 40)]
    chosen = choose(ones, NOW, WIDTH, 3)
    assert [ask.contact_id for ask in chosen.asks] == ["c39", "c38", "c37"]
    assert (chosen.due, chosen.left) == (20, 17)


def test_without_a_budget_nothing_is_asked() -> None:
    chosen = choose([opened(60, 30)], NOW, WIDTH, 0)
    assert chosen.asks == []
    assert (chosen.due, chosen.left) == (1, 1)


def test_what_main_shows_no_more_is_asked_of_archive_and_first_of_all() -> None:
    ones = [opened(60, 20, "c1"), opened(60, 59, "c2", is_missing=True)]
    assert [(ask.contact_id, ask.source) for ask in choose(ones, NOW, WIDTH, 1).asks] == [
        ("c2", Source.ARCHIVE)
    ]


@pytest.mark.parametrize(
    ("planned", "more"), [(0, 0), (19, 0), (20, 1), (99, 4), (200_000, 10_000)]
)
def test_the_budget_is_a_twentieth(planned: int, more: int) -> None:
    assert budget(planned) == more
