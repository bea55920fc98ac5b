"""Windows tile whatever span of days is asked for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.history.plan import windows
from history_pipeline.model import Window


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.integers(1, 1500), st.integers(1, 400))
def test_windows_tile_any_range(start: date, days: int, longest: int) -> None:
    whole = Window(start, start + timedelta(days=days))
    tiles = windows(whole, longest)
    assert [day for tile in tiles for day in tile] == list(whole)
    assert all(tile.days <= longest for tile in tiles)
    assert len(tiles) == -(-days // longest)


def test_a_day_is_one_window() -> None:
    day = Window(date(2024, 2, 29), date(2024, 3, 1))
    assert windows(day, 31) == [day]


@pytest.mark.parametrize("longest", [0, -1])
def test_a_window_without_a_day_is_refused(longest: int) -> None:
    with pytest.raises(ValueError, match="at least one day"):
        windows(Window(date(2024, 1, 1), date(2024, 1, 2)), longest)


@pytest.mark.parametrize("days", [0, -1])
def test_an_empty_window_cannot_be_made(days: int) -> None:
    with pytest.raises(ValueError, match="empty window"):
        Window(date(2024, 1, 1), date(2024, 1, 1) + timedelta(days=days))
