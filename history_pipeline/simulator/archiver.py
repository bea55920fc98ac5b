"""Interactions that move from main to archive while they are asked for.

Knows which of a contact's records the archiver takes, and when. Does not know requests. Only
what has ended, and what main alone holds of the time that the archiver has not been over
(guide, 6.2), moves; what is open, unreadable, or already in archive stays where the world has
it. An interaction is in exactly one of the two sources at any moment, or, with a gap (a
set-based archiver), in neither for so long.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Protocol

from history_pipeline.simulator.answers import Encoded
from history_pipeline.simulator.timeline import timeline_key
from history_pipeline.simulator.world import ARCHIVE, MAIN

Held = dict[str, list[Encoded]]
_start = attrgetter("start_ms")


class Archiver(Protocol):
    """What the shelf asks. `moved` counts what has left main by now."""

    def view(self, held: Held, source: str) -> list[Encoded]:
        """What `source` holds by now of these records, by start."""

    def answered(self, held: Held) -> None:
        """An answer was made from these records."""

    @property
    def moved(self) -> int: ...


class PerRequest:
    """Moves the contact's `number` oldest interactions after each answer about the contact.

    So who asks archive before main misses them, and who asks main before archive has them
    twice, whatever else is going on. Keeps a few numbers for each contact asked.
    """

    def __init__(self, number: int, gap: float, clock: Callable[[], float]) -> None:
        self._number = number
        self._gap = gap
        self._clock = clock
        self._moves: dict[int, list[tuple[float, int]]] = {}
        self._moved = 0

    @property
    def moved(self) -> int:
        return self._moved

    def view(self, held: Held, source: str) -> list[Encoded]:
        moment = self._clock() - self._gap
        return merged(held, source, self._has_left, lambda one: self._moved_by(moment, one))

    def answered(self, held: Held) -> None:
        now = self._clock()
        staying = (one for one in held[MAIN] if one.origin is not None and not self._has_left(one))
        for one, _ in zip(staying, range(self._number), strict=False):
            assert one.origin is not None  # noqa: S101 - chosen so above
            contact, ordinal = one.origin
            moves = self._moves.setdefault(contact, [])
            moves.append((now, ordinal))
            # of the moves that are beyond the gap, the last one says all
            beyond = bisect_right(moves, now - self._gap, key=lambda move: move[0])
            del moves[: max(0, beyond - 1)]
            self._moved += 1

    def _has_left(self, one: Encoded) -> bool:
        return self._moved_by(math.inf, one)

    def _moved_by(self, moment: float, one: Encoded) -> bool:
        """Had the archiver got so far by then? A contact's ordinals rise with the start."""
        if one.origin is None:
            return False
        contact, ordinal = one.origin
        moves = self._moves.get(contact, [])
        by_then = bisect_right(moves, moment, key=lambda move: move[0])
        return by_then > 0 and moves[by_then - 1][1] >= ordinal


class PerSecond:
    """Goes over the whole world by start, `rate` interactions a second from the first answer on.

    `timeline` has the key of each of them, in order; from the key `begins` on the archiver has
    not been over it. It passes the ones that are open, too.
    """

    def __init__(
        self,
        rate: float,
        gap: float,
        clock: Callable[[], float],
        timeline: Sequence[int],
        begins: int,
    ) -> None:
        self._rate = rate
        self._gap = gap
        self._clock = clock
        self._timeline = timeline
        self._first = bisect_left(timeline, begins)
        self._since: float | None = None

    @property
    def moved(self) -> int:
        return self._position(self._clock()) - self._first

    def view(self, held: Held, source: str) -> list[Encoded]:
        now = self._clock()
        left, come = self._border(now), self._border(now - self._gap)
        return merged(
            held,
            source,
            lambda one: _key(one) < left,
            lambda one: _key(one) < come,
        )

    def answered(self, held: Held) -> None:
        if self._since is None:
            self._since = self._clock()

    def _position(self, moment: float) -> int:
        if self._since is None or moment <= self._since:
            return self._first
        passed = int((moment - self._since) * self._rate)
        return min(self._first + passed, len(self._timeline))

    def _border(self, moment: float) -> int:
        """The key of the first that the archiver had not passed by then."""
        position = self._position(moment)
        if position < len(self._timeline):
            return self._timeline[position]
        return self._timeline[-1] + 1 if self._timeline else 0


def _key(one: Encoded) -> float:
    """Where it stands in the timeline; what does not move stands behind everything."""
    return math.inf if one.origin is None else timeline_key(one.start_ms, one.origin[0])


def merged(
    held: Held,
    source: str,
    has_left: Callable[[Encoded], bool],
    has_come: Callable[[Encoded], bool],
) -> list[Encoded]:
    """The records of one source, less those that have left it, with those that have come."""
    if source == MAIN:
        return [one for one in held[MAIN] if not has_left(one)]
    come = [one for one in held[MAIN] if has_come(one)]
    return sorted(held[ARCHIVE] + come, key=_start) if come else held[ARCHIVE]
