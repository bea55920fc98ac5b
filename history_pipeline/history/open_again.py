"""Which interactions that were open are asked again, and when. Pure.

Knows ages, and how many requests may be spent. Does not know storage, the server, or what an
answer holds.

An interaction that was open when it was last asked about has its next place in the schedule when
its age is a quarter greater than it was then, whatever the lookback: so a late end is known within
25 % of the age at which it came. Runs are a day apart, so it is asked by the last run before its
place. What the budget has no room for comes next time, the most overdue first.

Main alone is asked: the archiver takes whole threads, and what is open keeps its own in main. Where
main does not show it any more it may have ended and been archived since: archive is asked next.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from history_pipeline.model import OpenInteraction, Source, Window

GROWTH = 1.25
"""Of an interaction's age, from one place in its schedule to the next."""

SHARE = 0.05
"""Of the requests that a run asks anyway."""

NEXT_RUN = timedelta(hours=25)
"""Until the next run, which may be an hour later in the day than this one."""

ARCHIVE_TAKES = timedelta(days=1)
"""What main no longer shows is asked of archive by the next run: so much sooner main is asked,
where a quarter of the age leaves the time."""

_LEAVES_THE_TIME = timedelta(days=3)

JUST_ASKED = timedelta(hours=12)
"""A second run of the same day asks nothing twice."""


class Ask(NamedTuple):
    """A request: one contact, one source, the window that starts there. `due` is how many open
    interactions want it."""

    contact_id: str
    window_start: date
    source: Source
    due: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """`due` is how many interactions have come to a place in their schedule, `left` how many of
    these have to wait for the next run."""

    asks: list[Ask]
    due: int

    @property
    def left(self) -> int:
        return self.due - sum(each.due for each in self.asks)


def budget(planned: int) -> int:
    """How many requests more a run may send that has planned so many."""
    return int(planned * SHARE)


def lateness(one: OpenInteraction, now: datetime) -> float:
    """Its age when the next run comes, as a part of the age at its next place: beyond 1 it is due.
    0 for what was asked just now."""
    if now - one.asked_at < JUST_ASKED:
        return 0.0
    age = one.asked_at - one.started_at
    if age <= timedelta(0):
        return float("inf")
    step = age * (GROWTH - 1)
    until = NEXT_RUN if step < _LEAVES_THE_TIME else NEXT_RUN + ARCHIVE_TAKES
    return (now - one.started_at + until) / (age + step)


def tile(day: date, width: int) -> Window:
    """The window that a day is asked in. Windows lie side by side, wherever a run begins, so that
    those of a contact's interactions that lie in one share a request, now and later."""
    first = day - timedelta(days=day.toordinal() % width)
    return Window(first, first + timedelta(days=width))


def choose(opens: Iterable[OpenInteraction], now: datetime, width: int, most: int) -> Chosen:
    """At most `most` requests of windows of `width` days; `opens` come by contact, then by day.
    Memory grows with `most`, not with them."""
    due = 0
    best: list[tuple[float, Ask]] = []
    for late, ask in _wanted(opens, now, width):
        due += ask.due
        if len(best) < most:
            heapq.heappush(best, (late, ask))
        elif best:
            heapq.heappushpop(best, (late, ask))
    return Chosen([ask for _, ask in sorted(best, reverse=True)], due)


def _wanted(
    opens: Iterable[OpenInteraction], now: datetime, width: int
) -> Iterator[tuple[float, Ask]]:
    """Requests that are due, each with the lateness of its most overdue interaction."""
    by_request = groupby(opens, key=lambda one: (one.contact_id, tile(one.day, width).start))
    for (contact_id, start), ones in by_request:
        missing = 0
        late = []
        for one in ones:
            if one.is_missing:
                missing += 1
            elif (lateness_ := lateness(one, now)) > 1:
                late.append(lateness_)
        if late:
            yield max(late), Ask(contact_id, start, Source.MAIN, len(late))
        if missing:
            # its end may be known already: it goes first
            yield float("inf"), Ask(contact_id, start, Source.ARCHIVE, missing)
