"""The order in which everything in a world starts.

Knows starts and contacts' numbers. Does not know records.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from history_pipeline.simulator.world import World

_INDEX_BITS = 22
_INDEX_MASK = (1 << _INDEX_BITS) - 1


def timeline_key(start_ms: int, index: int) -> int:
    """Orders starts, and contacts under the same start."""
    return start_ms << _INDEX_BITS | index


class Timeline:
    """Made when it is first asked for; seconds for a million, so ask first in a thread."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._keys: array[int] | None = None

    def keys(self) -> array[int]:
        """One key for each contact and start, in order."""
        if self._keys is None:
            keys = [
                timeline_key(ms, index)
                for index in range(self._world.size + 1)
                for ms in self._world.own_starts(index)
            ]
            self._keys = array("Q", sorted(set(keys)))
        return self._keys

    def moments(self, from_ms: int, until_ms: int, *, ascending: bool) -> Iterator[tuple[int, int]]:
        """Start and contact, from `from_ms` to before `until_ms`."""
        keys = self.keys()
        low = bisect_left(keys, timeline_key(max(from_ms, 0), 0))
        high = bisect_left(keys, timeline_key(max(until_ms, 0), 0))
        order = range(low, high) if ascending else range(high - 1, low - 1, -1)
        return ((keys[at] >> _INDEX_BITS, keys[at] & _INDEX_MASK) for at in order)
