"""A stand-in for a server that lists activity, with its habits to choose; no network, no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from history_pipeline.contacts import activity
from history_pipeline.contacts.activity import Discovered
from history_pipeline.errors import RequestRefused
from history_pipeline.gws.inquiry import Answer, Inquiry
from history_pipeline.model import (
    REQUESTABLE_MEDIA_TYPES,
    DiscoveryRequest,
    ListingState,
    Source,
    Window,
)
from history_pipeline_tests import virtual_time

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = Window(date(2026, 10, 1), date(2026, 10, 9))
TRIES, PATIENCE = 2, 60.0


@dataclass(frozen=True, slots=True)
class Talk:
    """One interaction."""

    number: int
    start: datetime
    contact_id: str | None
    media_type: str = "chat"
    source: str = "main"

    def record(self, zone: tzinfo) -> dict[str, Any]:
        local = self.start.astimezone(zone)
        told = {
            "id": f"i{self.number}",
            "mediaType": self.media_type,
            "startDate": f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}{local:%z}",
        }
        return told if self.contact_id is None else {**told, "contactId": self.contact_id}


@dataclass
class Site:
    """`faults` come first, one an attempt. Days are cut in `cuts_in`, and written in `writes_in`."""

    talks: list[Talk] = field(default_factory=list)
    cuts_in: tzinfo = BERLIN
    writes_in: tzinfo = BERLIN
    includes_last: bool = True
    sorts: bool = True
    refuses_above: int | None = None
    cuts_at: int | None = None
    takes: tuple[str, ...] = REQUESTABLE_MEDIA_TYPES
    faults: Iterator[Exception] = field(default_factory=lambda: iter(()))
    asked: list[dict[str, Any]] = field(default_factory=list)
    forgotten: int = 0
    rows: list[DiscoveryRequest] = field(default_factory=list)

    async def attempt(self, inquiry: Inquiry) -> Answer:
        await asyncio.sleep(1.0)
        fault = next(self.faults, None)
        if fault is not None:
            raise fault
        body = json.loads(inquiry.body)
        self.asked.append(body)
        if self.refuses_above is not None and body["maxSize"] > self.refuses_above:
            raise RequestRefused("status code 10 (HTTP 400)")
        if body.get("mediaType", self.takes[0]) not in self.takes:
            raise RequestRefused("status code 2 (HTTP 400)")
        records = [talk.record(self.writes_in) for talk in self._found(body)]
        return msgspec.Raw(json.dumps(records).encode())

    def _found(self, body: dict[str, Any]) -> list[Talk]:
        first, last = (date.fromisoformat(body[name]) for name in ("fromDate", "toDate"))
        end = last + timedelta(days=1) if self.includes_last else last
        low, high = (datetime.combine(day, time(), self.cuts_in) for day in (first, end))
        found = [
            talk
            for talk in sorted(self.talks, key=lambda talk: (talk.start, talk.number))
            if low <= talk.start < high and talk.source == body["source"]
            and body.get("mediaType", talk.media_type.casefold()) == talk.media_type.casefold()
        ]  # fmt: skip
        if body["sort"] == "desc" and self.sorts:
            found.reverse()
        return found[: min(body["maxSize"], self.cuts_at or body["maxSize"])]

    def forget(self, inquiry: Inquiry) -> None:
        self.forgotten += 1

    def discover(
        self, days: Window = DAYS, *, overlap: int = 1, zone: tzinfo | None = BERLIN
    ) -> Discovered:
        both = (Source.MAIN, Source.ARCHIVE)
        found = virtual_time.run(
            activity.discover(
                self, days, both, overlap, TRIES, PATIENCE,
                zone=zone, on_request=self.rows.append,
            )
        )  # fmt: skip
        assert len(self.rows) == self.forgotten
        return found

    def active(self, days: Window = DAYS, zone: tzinfo = BERLIN) -> set[str]:
        """Who should be found."""
        return {
            talk.contact_id
            for talk in self.talks
            if talk.contact_id is not None and talk.start.astimezone(zone).date() in days
        }

    @property
    def answered(self) -> list[DiscoveryRequest]:
        return [row for row in self.rows if row.state is ListingState.ANSWERED]


def talks(
    draw: Random,
    count: int,
    days: Window = DAYS,
    kinds: tuple[str, ...] = ("chat", "email", "call"),
) -> list[Talk]:
    """So many, from two days before to two days after; some start at one and the same moment."""
    began = datetime.combine(days.start - timedelta(days=2), time(), UTC)
    minutes = (days.days + 4) * 24 * 60
    found: list[Talk] = []
    while len(found) < count:
        start = began + timedelta(minutes=draw.randrange(minutes), milliseconds=draw.randrange(9))
        if found and draw.random() < 0.1:
            start = found[-1].start
        contact = None if draw.random() < 0.05 else f"c{draw.randrange(count // 2 + 1)}"
        source = "main" if draw.random() < 0.6 else "archive"
        found.append(Talk(len(found), start, contact, draw.choice(kinds), source))
    return found
