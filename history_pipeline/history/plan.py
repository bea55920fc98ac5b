"""Which windows to ask for. Pure.

Knows days; does not know time zones (a day is the server's local day wherever it is named) nor
what a request costs.
"""

from __future__ import annotations

from datetime import timedelta

from history_pipeline.model import Window


def windows(days: Window, longest: int) -> list[Window]:
    """Tiles `days` with windows of at most `longest` days, oldest first, without gap or overlap."""
    if longest < 1:
        raise ValueError("a window holds at least one day")
    tiles = []
    start = days.start
    while start < days.end:
        end = min(start + timedelta(days=longest), days.end)
        tiles.append(Window(start, end))
        start = end
    return tiles
