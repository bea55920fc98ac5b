"""What becomes of interactions and contacts long after an interaction has started.

Knows which open interactions end late, which contacts are merged into the one before them, and
which interactions are assigned to another contact, each at an instant of its own: a function of
the seed and of whose it is. What is told depends on nothing but the time that it is. Does not
know requests.

An interaction that has ended late stays in main, or is in archive alone, so many days after its
end (guide, 6.2). Only contacts of odd number are merged, so that none is merged into a merged one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.calendar_days import midnight_ms, written
from history_pipeline.simulator.draws import Dice, fraction
from history_pipeline.simulator.world import ARCHIVE, MAIN, Placed, World

DAY_MS = 86_400_000
_FURTHER = 4
"""An interaction goes to the contact that stands so many places behind its own."""


class Changes:
    """A world as it is at the time that `wall` tells, in seconds since 1970."""

    def __init__(self, world: World, behaviour: Behaviour, wall: Callable[[], float]) -> None:
        self._world = world
        self._behaviour = behaviour
        self._wall = wall
        seed = behaviour.seed
        self._late = Dice("ends_late", seed, behaviour.ends_late_share)
        # of the odd ones only, so that the share is of all contacts
        self._merges = Dice("merged_later", seed, 2 * behaviour.merged_later_share)
        self._reassigns = Dice("reassigned", seed, behaviour.reassigned_share)
        self._first = midnight_ms(world.zone, world.start)

    @property
    def active(self) -> bool:
        return any(dice.share > 0 for dice in (self._late, self._merges, self._reassigns))

    def known(self, index: int) -> bool:
        """Whether this contact's id is one that history knows by now."""
        return not (self._behaviour.merged_ids_unknown and self._is_merged(index))

    def history(self, index: int) -> list[Placed]:
        """All records that are returned for a contact by now, by start."""
        index = index - 1 if self._is_merged(index) else index
        family = [index]
        if index + 1 < self._world.size and self._is_merged(index + 1):
            family.append(index + 1)
        found: list[Placed] = []
        for one in family:
            found += [
                self._told(placed, index if one != index else None)
                for placed in self._world.history(one)
                if not self._is_reassigned(placed)
            ]
            found += [
                self._told(placed, index)
                for placed in self._world.own_history((one - _FURTHER) % self._world.size)
                if self._is_reassigned(placed)
            ]
        return sorted(found, key=lambda placed: placed.start_ms)

    def own_history(self, index: int) -> list[Placed]:
        """The records that came in under this contact, as they are by now."""
        return [
            self._told(placed, self._holder(placed)) for placed in self._world.own_history(index)
        ]

    def ends_ms(self, placed: Placed) -> int | None:
        """When an interaction that the world has open ends late, if it does."""
        if placed.defect is not None or len(placed.copies) > 1:
            return None
        if "endDate" in placed.copies[0][1] or not self._late.falls(*placed.origin):
            return None
        return placed.start_ms + self._drawn("late end", self._behaviour.ends_late_days, placed)

    def merges_ms(self, index: int) -> int | None:
        """When this contact is merged into the one before it, if it is."""
        is_merged_before = self._world.is_merged(index) or self._world.answers_for(index) != index
        if index % 2 == 0 or is_merged_before or not self._merges.falls(index):
            return None
        span = self._behaviour.merged_later_days
        return self._first + _between(span, fraction("merge", self._behaviour.seed, index))

    def reassigns_ms(self, placed: Placed) -> int | None:
        """When this interaction goes to another contact, if it does."""
        if placed.defect is not None or not self._reassigns.falls(*placed.origin):
            return None
        return placed.start_ms + self._drawn("goes over", self._behaviour.reassigned_days, placed)

    def _drawn(self, what: str, span: tuple[float, float], placed: Placed) -> int:
        return _between(span, fraction(what, self._behaviour.seed, *placed.origin))

    def _is_past(self, moment: int | None) -> bool:
        return moment is not None and self._wall() * 1000 >= moment

    def _is_merged(self, index: int) -> bool:
        return self._is_past(self.merges_ms(index))

    def _is_reassigned(self, placed: Placed) -> bool:
        return self._is_past(self.reassigns_ms(placed))

    def _holder(self, placed: Placed) -> int | None:
        """The contact that it has gone to; None where it stays as the world tells it."""
        index, _ = placed.origin
        holder = (index + _FURTHER) % self._world.size if self._is_reassigned(placed) else index
        if self._is_merged(holder):
            return holder - 1
        return holder if holder != index else None

    def _told(self, placed: Placed, holder: int | None) -> Placed:
        copies = placed.copies
        ends = self.ends_ms(placed)
        if ends is not None and self._is_past(ends):
            end = {"endDate": written(ends, self._world.zone), "state": "Stopped"}
            copies = ((self._source_of(ends), copies[0][1] | end),)
        if holder is not None and placed.defect is None:
            contact_id = self._world.contact_id(holder)
            copies = tuple((source, _of(payload, contact_id)) for source, payload in copies)
        return Placed(placed.start_ms, copies, placed.defect, placed.origin)

    def _source_of(self, ends: int) -> str:
        after = self._behaviour.late_archived_days
        return (
            ARCHIVE if after is not None and self._is_past(ends + round(after * DAY_MS)) else MAIN
        )


def _of(payload: dict[str, Any], contact_id: str) -> dict[str, Any]:
    return payload | {"contactId": contact_id}


def _between(span: tuple[float, float], drawn: float) -> int:
    """Milliseconds: early in the span rather than late, as a quarter of an age is."""
    least, most = span
    days: float = least * (most / least) ** drawn
    return round(days * DAY_MS)
