"""What one listing of activity shows, and whether two of them hold all that there is. Pure.

Knows records of RetrieveInteractionHistory by id, start, contact and media type, and keeps no more
of them. Does not know which days are asked for next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, tzinfo
from itertools import groupby
from typing import Any

import msgspec

from history_pipeline.gws import payloads
from history_pipeline.model import Window

FEWEST_CUT = 10
"""Fewer records than these are not suspect by their number alone: no server cuts at so few."""

_ALL_OF_IT_EXCLUDED = time(12, tzinfo=UTC)
"""A day begins at noon of UTC at the latest, in whichever zone (twelve hours behind it)."""


class _Record(msgspec.Struct):
    id: Any = None
    contact_id: Any = msgspec.field(default=None, name="contactId")
    media_type: Any = msgspec.field(default=None, name="mediaType")
    start_date: Any = msgspec.field(default=None, name="startDate")


_decode = msgspec.json.Decoder(_Record).decode


@dataclass(slots=True)
class Sightings:
    """One answer. `starts` and `media_types` (in lower case) are by interaction id, in the order of
    the answer; `nobodys` counts records without a contact, those that cannot be read included."""

    records: int = 0
    nobodys: int = 0
    starts: dict[str, datetime | None] = field(default_factory=dict)
    media_types: dict[str, str] = field(default_factory=dict)
    contact_ids: set[str] = field(default_factory=set)


def read(records: list[msgspec.Raw], days: Window, zone: tzinfo | None) -> Sightings:
    """Contacts count where something of theirs starts within these days of the zone, or where
    nobody can tell when it does; without a zone, all of them count."""
    seen = Sightings(records=len(records))
    for record in _readable(records):
        start = _moment(record.start_date)
        if isinstance(record.id, str) and record.id:
            seen.starts.setdefault(record.id, start)
            kind = record.media_type
            seen.media_types[record.id] = kind.casefold() if isinstance(kind, str) else ""
        if not isinstance(record.contact_id, str) or not record.contact_id:
            continue
        seen.nobodys -= 1
        if start is None or zone is None or start.astimezone(zone).date() in days:
            seen.contact_ids.add(record.contact_id)
    seen.nobodys += seen.records
    return seen


def _readable(records: Iterable[msgspec.Raw]) -> Iterator[_Record]:
    for record in records:
        try:
            yield _decode(record)
        except payloads.UNDECODABLE:
            continue


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # at the ends of the calendar there is no other zone to look at it from
    is_instant = moment.tzinfo is not None and MINYEAR < moment.year < MAXYEAR
    return moment if is_instant else None


def are_whole(ascending: Sightings, descending: Sightings) -> bool:
    """Whether these two answers to one question hold all that there is, be they cut or not.

    The first has whatever sorts before its last record, the second whatever sorts after its own
    last one. Where they overlap, nothing lies between. An overlap is two interactions that start
    apart: of those that start at once, either answer may have left out some. They must come in
    opposite orders, else the server has not sorted, and both may be the same part of the whole.
    """
    shared = [each for each in ascending.starts if each in descending.starts]
    if len(shared) == len(ascending.starts) == len(descending.starts) < FEWEST_CUT:
        return True
    ranks = {each: rank for rank, each in enumerate(descending.starts)}
    known = [each for each in shared if ascending.starts[each] is not None]
    lowest, moments = len(ranks), 0
    for _, at_once in groupby(known, key=ascending.starts.__getitem__):
        of_these = [ranks[each] for each in at_once]
        if max(of_these) >= lowest:
            return False
        lowest, moments = min(of_these), moments + 1
    return moments > 1


def shows_its_last_day(seen: Sightings, last: date) -> bool:
    """Whether this answer proves that `toDate` is included, whatever zone it is cut in."""
    begins = datetime.combine(last, _ALL_OF_IT_EXCLUDED)
    return any(start is not None and start >= begins for start in seen.starts.values())
