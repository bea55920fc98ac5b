"""Which days the daily run asks for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.history.daily import days_to_ask

TODAY = date(2024, 3, 31)
LONG_AGO = date(2015, 1, 1)


@pytest.mark.parametrize(
    ("first_incomplete", "earliest", "start"),
    [
        (None, LONG_AGO, date(2024, 3, 24)),
        (date(2024, 3, 30), LONG_AGO, date(2024, 3, 24)),
        (date(2024, 3, 24), LONG_AGO, date(2024, 3, 24)),
        (date(2024, 3, 20), LONG_AGO, date(2024, 3, 20)),
        (date(2024, 2, 29), LONG_AGO, date(2024, 2, 29)),
        (date(2024, 2, 28), LONG_AGO, date(2024, 2, 29)),
        (date(2016, 1, 1), LONG_AGO, date(2024, 2, 29)),
        (None, date(2024, 3, 28), date(2024, 3, 28)),
        (date(2024, 3, 20), date(2024, 3, 28), date(2024, 3, 28)),
        (None, date(2024, 3, 30), date(2024, 3, 30)),
    ],
)
def test_the_daily_run_asks_from_lookback_or_gap_to_yesterday(
    first_incomplete: date | None, earliest: date, start: date
) -> None:
    days = days_to_ask(TODAY, lookback=7, first_incomplete=first_incomplete, earliest=earliest)
    assert (days.start, days.last) == (start, date(2024, 3, 30))


def test_nothing_is_asked_before_the_first_day() -> None:
    with pytest.raises(ValueError, match="empty window"):
        days_to_ask(TODAY, lookback=7, first_incomplete=None, earliest=TODAY)


@given(st.integers(1, 31), st.none() | st.integers(0, 500), st.integers(1, 500))
def test_it_always_ends_yesterday_and_never_exceeds_a_month(
    lookback: int, gap: int | None, age: int
) -> None:
    first = None if gap is None else TODAY - timedelta(days=gap)
    days = days_to_ask(
        TODAY, lookback=lookback, first_incomplete=first, earliest=TODAY - timedelta(days=age)
    )
    assert days.end == TODAY
    assert 1 <= days.days <= 31
