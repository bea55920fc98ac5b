"""What the answers show: interactions by id and start, and how each question ended. Pure.

Keeps no subject, name or attribute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from history_pipeline.gws import payloads
from history_pipeline.history.instants import UnreadableTime, micros


@dataclass(frozen=True, slots=True)
class Sighting:
    """An interaction: `moment` is its start in seconds since 1970, `offset` that of its text, in
    seconds."""

    interaction_id: str
    contact_id: str | None
    moment: int
    offset: int


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer: `total` counts its records, those that cannot be read included; `sightings` come
    in its order."""

    total: int = 0
    sightings: tuple[Sighting, ...] = ()

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(each.interaction_id for each in self.sightings)

    @property
    def moments(self) -> list[int]:
        return [each.moment for each in self.sightings]


class Ending(Enum):
    """How a question ended."""

    ANSWERED = "answered"
    ERROR = "an errorMessage"
    UNKNOWN = "the contact is not known"
    REFUSED = "refused"
    FAILED = "failed"
    LATE = "no notification in time"
    TIME_UP = "no time was left to ask"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one question. `reason` is for people; `seconds` runs from acceptance."""

    ending: Ending
    seen: Seen = Seen()
    reason: str = ""
    reference_id: str | None = None
    seconds: float | None = None

    @property
    def is_answered(self) -> bool:
        return self.ending is Ending.ANSWERED

    def __str__(self) -> str:
        return f"{self.ending.value} ({self.reason})" if self.reason else self.ending.value


class _Record(msgspec.Struct):
    interaction_id: Any = msgspec.field(default=None, name="id")
    contact_id: Any = msgspec.field(default=None, name="contactId")
    start: Any = msgspec.field(default=None, name="startDate")


_record = msgspec.json.Decoder(_Record)


def seen(answer: msgspec.Raw) -> Seen:
    """What an answer shows."""
    records = payloads.records(answer)
    return Seen(len(records), tuple(_sightings(records)))


def _sightings(records: list[msgspec.Raw]) -> Iterator[Sighting]:
    for raw in records:
        try:
            record = _record.decode(raw)
            moment, offset = micros(record.start)
        except (*payloads.UNDECODABLE, UnreadableTime):
            continue
        contact_id = record.contact_id if isinstance(record.contact_id, str) else None
        if isinstance(record.interaction_id, str) and record.interaction_id:
            yield Sighting(record.interaction_id, contact_id, moment // 1_000_000, offset)
