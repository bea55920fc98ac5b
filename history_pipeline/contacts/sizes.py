"""How many records one listing of activity may have: what to ask for, and what looks cut. Pure.

Knows numbers. Does not know days, records or who was asked.
"""

from __future__ import annotations

from history_pipeline.contacts.sightings import FEWEST_CUT
from history_pipeline.model import Source

SIZES = (10_000, 5_000, 2_000, 1_000, 500, 200, 100)
"""Tried in this order. More would be a heavy question for a server that agents work on, and the
answer is one message; 100 is what RetrieveInteractionHistory takes without being told."""

_ROUND = 50
_SMALLEST_POWER = 32
_CLOSE_ENOUGH = 16


class MaxSize:
    """The largest `maxSize` that the server grants. `size` is what to ask for next."""

    def __init__(self) -> None:
        self.size = SIZES[0]
        self._granted: int | None = None
        self._refused: int | None = None

    @property
    def is_tried(self) -> bool:
        """Whether the server has granted what is asked for next, or nothing less can be."""
        return self.size == self._granted or self.size == SIZES[-1]

    def grant(self) -> None:
        """The server has answered at this size."""
        self._granted = self.size

    def refuse(self) -> bool:
        """It has not: a smaller one is next. False where there is none."""
        self._refused = self.size
        if self._granted is not None and self._granted < self.size:
            self.size = self._granted
            return True
        self._granted = None
        smaller = [size for size in SIZES if size < self.size]
        self.size = smaller[0] if smaller else self.size
        return bool(smaller)

    def enlarge(self) -> bool:
        """What was granted was too small: between it and what was refused there may be more.
        False where that is not worth a question."""
        if self._granted is None or self._refused is None:
            return False
        between = self._refused - self._granted
        if between * _CLOSE_ENOUGH <= self._granted:
            return False
        self.size = self._granted + between // 2
        return True


class Lengths:
    """The lengths of answers: servers that cut without a word do it at the same number each time,
    which is mostly a round one."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._caps: dict[Source, int] = {}

    def may_be_cut(self, length: int, size: int, source: Source) -> bool:
        """Whether an answer of this length, `size` of which were asked for, may lack something.
        Call it once for each question."""
        is_full = length >= min(size, self._caps.get(source, size))
        if length < FEWEST_CUT:
            return is_full
        came_before = length in self._seen
        self._seen.add(length)
        return is_full or came_before or _is_round(length)

    def cut_at(self, length: int, source: Source) -> None:
        """An answer of this length was found to lack something."""
        self._caps[source] = min(length, self._caps.get(source, length))


def _is_round(length: int) -> bool:
    is_power = length >= _SMALLEST_POWER and length & (length - 1) == 0
    return length % _ROUND == 0 or is_power
