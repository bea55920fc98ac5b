"""A calendar in text: a line a month, a mark a day, the sources side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from rich.text import Text

from history_pipeline.storage.completeness import Day


class Mark(NamedTuple):
    sign: str
    style: str


MARKS = {
    "complete": Mark("█", "green"),
    "unavailable": Mark("▒", "blue"),
    "partial": Mark("▄", "yellow"),
    "never asked": Mark("·", "dim"),
}
"""What is whole fills its cell, so that a gap shows also where there are no colours."""

_DAYS = 31
_RULER = "1   5    10   15   20   25   30 "


def lines(days: Iterable[Day]) -> Iterator[Text]:
    """The calendar, its ruler above and its legend below. Nothing where there are no days."""
    standing: dict[tuple[str, date | None], str] = {
        (each.source, each.day): each.standing for each in days
    }
    if not standing:
        return
    sources = list(dict.fromkeys(source for source, _ in standing))
    months = sorted({(day.year, day.month) for _, day in standing if day})
    yield Text(_row(" " * 7, [source.ljust(_DAYS) for source in sources]), style="bold")
    yield Text(_row(" " * 7, [_RULER] * len(sources)), style="dim")
    for year, month in months:
        line = Text(f"{year}-{month:02d}")
        for source in sources:
            line.append("  ")
            for number in range(1, _DAYS + 1):
                stands = standing.get((source, _day(year, month, number)))
                line.append(*(MARKS[stands] if stands else (" ", "")))
        yield line
    yield Text()
    yield Text("   ").join(
        Text.assemble((mark.sign, mark.style), f" {name}") for name, mark in MARKS.items()
    )


def _row(label: str, cells: list[str]) -> str:
    return "  ".join([label, *cells]).rstrip()


def _day(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None
