"""Which records an answer has.

Knows how to select and order records for a query. Keeps the encoded records of the contacts
asked for lately, and whole answers where it is told to, bounded by number. Does not know how an
answer is sent, nor why the archiver moves what it moves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from functools import lru_cache
from operator import attrgetter

from history_pipeline.simulator.answers import Encoded, encoded
from history_pipeline.simulator.archiver import Archiver, Held
from history_pipeline.simulator.changes import Changes
from history_pipeline.simulator.history_query import HistoryQuery
from history_pipeline.simulator.timeline import Timeline
from history_pipeline.simulator.world import ARCHIVE, MAIN, Placed, World

_start = attrgetter("start_ms")


class Shelf:
    """Encoded records of the contacts asked for lately; at most `bound` contacts.

    `archiver` and `changes` may be set before the first question; without them nothing moves, and
    `remembered` answers at most are kept as they are. What changes with time is kept not at all.
    """

    def __init__(self, world: World, bound: int = 2048, remembered: int = 0) -> None:
        self._world = world
        self._bound = bound
        self._remembering = lru_cache(maxsize=remembered)(self._of_contact)
        self._kept: OrderedDict[int, Held] = OrderedDict()
        self.timeline = Timeline(world)
        self._own = lru_cache(maxsize=512)(
            lambda index: self._by_source(world.own_history(index)),
        )
        self.archiver: Archiver | None = None
        self.changes: Changes | None = None

    def warm(self, index: int) -> None:
        self._held(index)

    def contact_history(self, index: int, query: HistoryQuery) -> list[bytes]:
        """The records of one contact, in the order asked for."""
        moves = self.archiver is not None or self.changes is not None
        return (self._of_contact if moves else self._remembering)(index, query)

    def _of_contact(self, index: int, query: HistoryQuery) -> list[bytes]:
        held = self._held(index)
        names = query.attributes
        found = [one.text(names) for one in self._in(held, query.source) if _selected(one, query)]
        if self.archiver is not None:
            self.archiver.answered(held)
        return found if query.ascending else found[::-1]

    def interaction_history(self, query: HistoryQuery) -> list[bytes]:
        """The records of all contacts, up to `max_size`; what was merged counts once."""
        found: list[bytes] = []
        moments = self.timeline.moments(query.from_ms, query.until_ms, ascending=query.ascending)
        for ms, index in moments:
            held = self._in(self._own_held(index), query.source)
            first = bisect_left(held, ms, key=_start)
            after = bisect_right(held, ms, lo=first, key=_start)
            for one in held[first:after]:
                if _selected(one, query):
                    found.append(one.text(query.attributes))
            if query.max_size is not None and len(found) >= query.max_size:
                return found[: query.max_size]
        return found

    def _in(self, held: Held, source: str) -> list[Encoded]:
        return held[source] if self.archiver is None else self.archiver.view(held, source)

    def _own_held(self, index: int) -> Held:
        if self.changes is None:
            return self._own(index)
        return self._by_source(self.changes.own_history(index))

    def _held(self, index: int) -> Held:
        if self.changes is not None:
            return self._by_source(self.changes.history(index))
        held = self._kept.get(index)
        if held is None:
            held = self._by_source(self._world.history(index))
            self._kept[index] = held
            if len(self._kept) > self._bound:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return held

    def _by_source(self, history: list[Placed]) -> Held:
        held: Held = {MAIN: [], ARCHIVE: []}
        for placed in history:
            movable = self.archiver is not None and self._movable(placed)
            for source, payload in placed.copies:
                one = encoded(placed.start_ms, payload, placed.origin if movable else None)
                held[source].append(one)
        return held

    def _movable(self, placed: Placed) -> bool:
        """May the archiver take it? It has ended, and main alone holds it."""
        if placed.start_ms < self._world.archived_before_ms or placed.defect is not None:
            return False
        return len(placed.copies) == 1 and "endDate" in placed.copies[0][1]


def _selected(one: Encoded, query: HistoryQuery) -> bool:
    return (
        query.from_ms <= one.start_ms < query.until_ms
        and (query.media_type is None or one.media_type == query.media_type)
        and (not query.search or one.matches(query.search))
    )
