"""Which days the daily run asks for. Pure."""

from __future__ import annotations

from datetime import date, timedelta

from history_pipeline.model import Window

LONGEST = 31


def days_to_ask(
    today: date, *, lookback: int, first_incomplete: date | None, earliest: date
) -> Window:
    """From the earlier of the lookback and the first incomplete day, at most 31 days back, to
    yesterday. Raises ValueError where `earliest` is not before today."""
    start = today - timedelta(days=lookback)
    if first_incomplete is not None:
        start = min(start, first_incomplete)
    return Window(max(start, today - timedelta(days=LONGEST), earliest), today)
