"""A contact centre whose every record is a function of (seed, contact index).

Knows contacts and the records that each source holds for them: the truth with which a
warehouse can be compared. Keeps nothing but its parameters, so that 100,000 contacts cost no
memory. Does not know requests, windows or HTTP.

Two kinds of contacts are odd by their index: every 40th has an id that differs from its
predecessor's only in case, and every 40th (of others) was merged into its predecessor: its
interactions are returned for both, some with the one `contactId`, some with the other. With
`merged_share`, further contacts were merged into the one before them: their ids answer for that
one, and all interactions carry its `contactId`. Every 50th contact has interactions at the
days' edges and at the changes of the clocks. With `active_share`, only so many contacts have
interactions at all; with `unassigned`, there are interactions that are nobody's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from history_pipeline.simulator import ids
from history_pipeline.simulator.calendar_days import Days, instant
from history_pipeline.simulator.draws import Dice, keyed
from history_pipeline.simulator.records import (
    DEFECTS,
    Place,
    Record,
    Setting,
    compose,
    pick,
    still_open,
)
from history_pipeline.simulator.vocabulary import ATTRIBUTE_NAMES, SYLLABLES

MAIN = "main"
ARCHIVE = "archive"
SOURCES = (MAIN, ARCHIVE)

_MERGED_EVERY, _MERGED_AT = 40, 11
_LANDMARKS_EVERY, _LANDMARKS_AT = 50, 1
_SILENT_CONTACTS = 0.12


@dataclass(frozen=True, slots=True)
class WorldContact:
    """A customer as `GET /api/v2/contacts` tells of it."""

    contact_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and the sources that hold a copy of it, each its own or none.

    `origin` is the contact under which it came in, and its number among that one's.
    """

    start_ms: int
    copies: tuple[tuple[str, Any], ...]
    defect: str | None = None
    origin: tuple[int, int] = (0, 0)


class World:
    """The contacts 0 .. `size` - 1 and what main and archive hold for them.

    `start` is in, `end` is out; both are days in `zone`. `interactions_per_contact` is the
    mean over the whole span; the first contact gets `giant_interactions` instead, if any.
    `archived_share` is the part of the span, from its start, that the archiver has been over.
    `unreadable_share` of the records have one of the `defects` (the keys of `DEFECTS`).
    `merged_share` of the contacts, at most half, were merged into the one before them.
    `active_share` of the contacts have interactions, the others none. `unassigned` interactions
    have no contact: they are those of number `size`, of which no list of contacts tells.
    """

    __slots__ = (
        "_activity",
        "_archived_before",
        "_days",
        "_defects",
        "_giant",
        "_landmarks",
        "_mean",
        "_merges",
        "_setting",
        "_unreadable",
        "seed",
        "size",
        "unassigned",
        "zone",
    )

    def __init__(
        self,
        *,
        seed: int = 1,
        contacts: int = 2000,
        start: date = date(2024, 3, 4),
        end: date = date(2024, 4, 3),
        zone: str = "Europe/Berlin",
        interactions_per_contact: float = 20.0,
        giant_interactions: int = 0,
        archived_share: float = 0.4,
        unreadable_share: float = 0.002,
        merged_share: float = 0.0,
        active_share: float = 1.0,
        unassigned: int = 0,
        defects: tuple[str, ...] = tuple(DEFECTS),
        attribute_names: tuple[str, ...] = ATTRIBUTE_NAMES,
        external_url: str = "http://localhost:8080/api/v2",
    ) -> None:
        if min(contacts, interactions_per_contact, giant_interactions, unassigned) < 0:
            raise ValueError("a world has no negative numbers of anything")
        if unknown := set(defects) - set(DEFECTS):
            raise ValueError(f"unknown defects: {sorted(unknown)}")
        if not 0 <= merged_share <= 0.5:
            raise ValueError("at most half of the contacts can be merged into the other half")
        if not 0 <= active_share <= 1:
            raise ValueError("a share is from 0 to 1")
        self.seed = seed
        self.size = contacts
        self.unassigned = unassigned
        self.zone = ZoneInfo(zone)
        self._days = Days(seed, start, end, self.zone)
        self._mean = interactions_per_contact / (1 - _SILENT_CONTACTS)
        self._giant = giant_interactions
        self._unreadable = unreadable_share if defects else 0.0
        self._defects = defects
        # only contacts of odd number are merged, so that none is merged into a merged one
        self._merges = Dice("merged", seed, 2 * merged_share)
        self._activity = Dice("active", seed, active_share)
        self._setting = Setting(seed, self.zone, external_url, attribute_names)
        self._landmarks = self._days.landmarks()
        first, after = self._days.bounds(start)[0], self._days.bounds(end)[0]
        self._archived_before = first + int((after - first) * archived_share)

    @property
    def start(self) -> date:
        return self._days.start

    @property
    def end(self) -> date:
        return self._days.end

    @property
    def active_days(self) -> tuple[date, ...]:
        """The days that can have interactions; on the others nothing starts."""
        return self._days.active

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return self._setting.attribute_names

    @property
    def archived_before_ms(self) -> int:
        """The instant up to which the archiver has been over."""
        return self._archived_before

    def contact(self, index: int) -> WorldContact:
        """Raises IndexError where there is no such contact."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        draw = keyed("contact", self.seed, index)
        first, last = self._name(draw), self._name(draw)
        attributes: dict[str, Any] = {"firstName": first, "lastName": last}
        if draw.random() < 0.8:
            attributes["emailAddress"] = f"contact{index}@example.com"
        numbers = [
            {"phoneNumber": f"+4930{int(draw.random() * 1e7):07}", "description": kind}
            for kind in ("mobile", "home")
            if draw.random() < 0.6
        ]
        attributes["phoneNumbers"] = numbers
        if draw.random() < 0.1:
            attributes["firstName"] = None if draw.random() < 0.5 else ""
        return WorldContact(ids.contact_id(self.seed, index), attributes)

    def contacts(self) -> Iterator[WorldContact]:
        return map(self.contact, range(self.size))

    def contact_id(self, index: int) -> str:
        return ids.contact_id(self.seed, index)

    def index_of(self, contact_id: str) -> int | None:
        """The contact with exactly this id (case matters), or None."""
        return ids.contact_index(self.seed, contact_id, self.size)

    def records(self, contact_id: str, source: str) -> list[Record]:
        """Everything that `source` holds for this contact, by start; [] for unknown ids.

        A day's records are those whose `started_at` lies in that local day; ids occur once
        per contact and source.
        """
        index = self.index_of(contact_id)
        if index is None:
            return []
        return [
            Record(instant(placed.start_ms), payload, placed.defect)
            for placed in self.history(index)
            for held_by, payload in placed.copies
            if held_by == source
        ]

    def answers_for(self, index: int) -> int:
        """The contact whose history is returned for this one; itself, unless it was merged."""
        merged = index % 2 == 1 and self._merges.falls(index)
        return index - 1 if merged else index

    def history(self, index: int) -> list[Placed]:
        """All records that are returned for a contact, those of merged ones included."""
        index = self.answers_for(index)
        found = self.own_history(index)
        next_one = index + 1
        if self.is_merged(next_one) or (
            next_one < self.size and self.answers_for(next_one) == index
        ):
            found = sorted(found + self.own_history(next_one), key=lambda one: one.start_ms)
        return found

    def own_history(self, index: int) -> list[Placed]:
        """The records that came in under this contact itself, by start."""
        draw = keyed("fields", self.seed, index)
        return [
            self._placed(index, ordinal, ms, draw)
            for ordinal, ms in enumerate(self.own_starts(index))
        ]

    def own_starts(self, index: int) -> list[int]:
        """When this contact's own records start; much cheaper than the records."""
        if index == self.size:
            draw = keyed("unassigned", self.seed, index)
            return sorted(self._start(draw) for _ in range(self.unassigned))
        if not self._activity.falls(index):
            return []
        draw = keyed("starts", self.seed, index)
        starts = [self._start(draw) for _ in range(self._how_many(index, draw))]
        if index % _LANDMARKS_EVERY == _LANDMARKS_AT:
            starts += self._landmarks
        return sorted(starts)

    def is_merged(self, index: int) -> bool:
        """Was this contact merged into its predecessor?"""
        return index % _MERGED_EVERY == _MERGED_AT and index < self.size

    def _how_many(self, index: int, draw: Random) -> int:
        if index == 0 and self._giant:
            return self._giant
        silent, size = draw.random() < _SILENT_CONTACTS, draw.random()
        return 0 if silent else round(-math.log(1.0 - size) * self._mean)

    def _start(self, draw: Random) -> int:
        """Mostly in working hours; a few at the very edges of the day."""
        days = self._days.active
        first, after = self._days.bounds(days[int(draw.random() * len(days))])
        chance = draw.random()
        if chance < 0.005:
            return first
        if chance < 0.01:
            return after - 1
        if chance < 0.05:
            return first + int((after - first) * draw.random())
        return first + int((after - first) * (7 + 13 * draw.random()) / 24)

    def _placed(self, index: int, ordinal: int, ms: int, draw: Random) -> Placed:
        goes_over = self.is_merged(index) and draw.random() < 0.5
        contact_id = self.contact_id(index - 1 if goes_over else self.answers_for(index))
        payload = compose(self._setting, Place(index, ordinal, ms, contact_id), draw)
        if index == self.size:
            del payload["contactId"]
        chance = draw.random()
        origin = (index, ordinal)
        if draw.random() < self._unreadable:
            defect = pick(draw, self._defects)
            source = ARCHIVE if ms < self._archived_before else MAIN
            return Placed(ms, ((source, DEFECTS[defect](payload)),), defect, origin)
        return Placed(ms, self._copies(ms, payload, chance), None, origin)

    def _copies(self, ms: int, payload: Any, chance: float) -> tuple[tuple[str, Any], ...]:
        if ms >= self._archived_before or "endDate" not in payload or chance < 0.04:
            return ((MAIN, payload),)
        if chance < 0.12:
            return ((MAIN, still_open(payload)), (ARCHIVE, payload))
        if chance < 0.16:
            return ((MAIN, payload), (ARCHIVE, payload))
        return ((ARCHIVE, payload),)

    def _name(self, draw: Random) -> str:
        length = 2 + int(draw.random() * 3)
        return "".join(pick(draw, SYLLABLES) for _ in range(length)).capitalize()
