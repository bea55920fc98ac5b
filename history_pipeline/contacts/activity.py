"""`activity`: the contacts that RetrieveInteractionHistory shows active in the days asked for.

It is asked day by day and source by source. An answer as long as `maxSize` may be cut: it is asked
again for each media type, and what is still cut is said. Interactions without a contact, and media
types that cannot be asked for, do not show here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import msgspec

from history_pipeline.errors import (
    AttemptSpent,
    ContactUnknown,
    RequestRefused,
    ServerUnusable,
)
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.insisting import PATIENCE, Asker, uninterrupted
from history_pipeline.model import REQUESTABLE_MEDIA_TYPES, Source, Window

MAX_SIZE = 1_000
DEFAULT_MAX_SIZE = 100
"""What servers cap at unless told otherwise; an answer of just this many is suspect as well."""


@dataclass(frozen=True, slots=True)
class CutListing:
    """A day, source and media type whose listing stayed cut, so contacts may be missing."""

    day: date
    source: Source
    media_type: str


@dataclass(slots=True)
class Discovered:
    """The contacts found, each once, and what could not be listed in full."""

    contact_ids: set[str] = field(default_factory=set)
    cut: list[CutListing] = field(default_factory=list)


class _Listed(msgspec.Struct):
    contact_id: str | None = msgspec.field(default=None, name="contactId")


_listed = msgspec.json.Decoder(_Listed)


async def discover(
    asker: Asker,
    days: Window,
    sources: tuple[Source, ...],
    overlap_days: int,
    tries: int,
    patience: float = PATIENCE,
) -> Discovered:
    """Every contact active in these days. Raises ServerUnusable where a listing cannot be had:
    one of its answers spent so many attempts, or was interrupted for `patience` seconds."""
    found = Discovered()
    listing = _Listing(asker, overlap_days, tries, patience)
    # the overlap belongs to the edges of the whole span; inside it, days overlap anyhow
    for day in days:
        for source in sources:
            async for records in _answers(listing, day, source, found):
                found.contact_ids.update(_ids(records))
    return found


async def _answers(
    listing: _Listing, day: date, source: Source, found: Discovered
) -> AsyncIterator[list[msgspec.Raw]]:
    whole = await listing.of(day, source, None)
    yield whole
    if not _may_be_cut(whole):
        return
    for media_type in REQUESTABLE_MEDIA_TYPES:
        part = await listing.of(day, source, media_type)
        yield part
        if _may_be_cut(part):
            found.cut.append(CutListing(day, source, media_type))


@dataclass(frozen=True, slots=True)
class _Listing:
    """How hard to try for each answer."""

    asker: Asker
    overlap_days: int
    tries: int
    patience: float

    async def of(self, day: date, source: Source, media_type: str | None) -> list[msgspec.Raw]:
        window = Window(day, day + timedelta(days=1))
        body = wire.activity_body(window, source, self.overlap_days, MAX_SIZE, media_type)
        inquiry = Inquiry(wire.INTERACTIONS_PATH, body)
        last: Exception | None = None
        try:
            for _ in range(self.tries):
                try:
                    answer = await uninterrupted(self.asker, inquiry, self.patience)
                    return payloads.records(answer)
                except AttemptSpent as exc:
                    last = exc
        except (RequestRefused, ContactUnknown) as exc:
            last = exc
        finally:
            self.asker.forget(inquiry)
        raise ServerUnusable(
            f"RetrieveInteractionHistory for {day} ({source.value}) was not answered: {last}; "
            "use HISTORY_CONTACTS=file:PATH where the site does not offer it, and "
            "HISTORY_SOURCES=main where it has no archive"
        ) from last


def _may_be_cut(records: list[msgspec.Raw]) -> bool:
    return len(records) >= MAX_SIZE or len(records) == DEFAULT_MAX_SIZE


def _ids(records: list[msgspec.Raw]) -> Iterator[str]:
    for record in records:
        try:
            contact_id = _listed.decode(record).contact_id
        except payloads.UNDECODABLE:
            continue
        if contact_id:
            yield contact_id
