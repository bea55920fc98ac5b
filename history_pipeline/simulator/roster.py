"""Which contacts are in the list, and when.

Knows positions and numbers of contacts. Does not know how a contact is told, or what history
says of it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import Dice, fraction


class Roster(Protocol):
    """The list of contacts, as numbers of the world."""

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[int]]:
        """How many there are by now, and those from `offset` on, at most `limit`."""


class SteadyRoster:
    """All contacts of the world, always."""

    def __init__(self, size: int) -> None:
        self._all = range(size)

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[int]]:
        return len(self._all), self._all[offset : offset + limit]


class ChangingRoster:
    """Contacts come in at their places, and leave, while the list is paged.

    Which ones is drawn for each contact, and so is the part of the list after which it happens:
    as soon as an offset has been asked for that lies so far into the list. Half of it happens
    behind the reader: then the rest moves up or down, and pages overlap or skip. What has
    happened stays; reading the list once to its end makes all of it happen. `happened` is told
    the name of the switch each time.
    """

    def __init__(
        self, size: int, behaviour: Behaviour, happened: Callable[[str], None] = lambda name: None
    ) -> None:
        seed = behaviour.seed
        inserted = Dice("contacts_inserted", seed, behaviour.contacts_inserted_share)
        removed = Dice("contacts_removed", seed, behaviour.contacts_removed_share)
        self.inserted = frozenset(one for one in range(size) if inserted.falls(one))
        self.removed = frozenset(one for one in range(size) if removed.falls(one)) - self.inserted
        self._size = size
        self._happened = happened
        self._listed = [one for one in range(size) if one not in self.inserted]
        self._changes = sorted(
            ((fraction("contact moment", seed, one), one) for one in self.inserted | self.removed),
            reverse=True,
        )

    @property
    def steady(self) -> Iterable[int]:
        """The contacts that are in the list from the beginning to the end."""
        changing = self.inserted | self.removed
        return (one for one in range(self._size) if one not in changing)

    def page(self, offset: int, limit: int) -> tuple[int, Sequence[int]]:
        while self._changes and self._changes[-1][0] * self._size < offset:
            self._change(self._changes.pop()[1])
        return len(self._listed), self._listed[offset : offset + limit]

    def _change(self, contact: int) -> None:
        if contact in self.inserted:
            insort(self._listed, contact)
            self._happened("contacts_inserted")
        else:
            del self._listed[bisect_left(self._listed, contact)]
            self._happened("contacts_removed")


def roster_of(
    size: int, behaviour: Behaviour, happened: Callable[[str], None] = lambda name: None
) -> Roster:
    if behaviour.contacts_inserted_share or behaviour.contacts_removed_share:
        return ChangingRoster(size, behaviour, happened)
    return SteadyRoster(size)
