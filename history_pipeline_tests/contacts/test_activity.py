"""Discovery: every day and source is listed, however often that was interrupted; on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

import msgspec
import pytest

from history_pipeline.contacts import activity
from history_pipeline.contacts.activity import Discovered
from history_pipeline.errors import (
    AnswerFailed,
    EpochLost,
    ServerFault,
    ServerSilent,
    ServerUnusable,
    SessionLost,
    Throttled,
)
from history_pipeline.gws.inquiry import Answer, Inquiry
from history_pipeline.model import Source, Window
from history_pipeline_tests import virtual_time

DAYS = Window(date(2026, 10, 1), date(2026, 10, 3))
TRIES, PATIENCE = 2, 60.0


@dataclass
class Listing:
    """Who was active: the same contact each day; `faults` come first, one an attempt."""

    faults: Iterator[Exception] = field(default_factory=lambda: iter(()))
    asked: list[tuple[str, str]] = field(default_factory=list)
    forgotten: int = 0

    async def attempt(self, inquiry: Inquiry) -> Answer:
        await asyncio.sleep(1.0)
        fault = next(self.faults, None)
        if fault is not None:
            raise fault
        body = json.loads(inquiry.body)
        self.asked.append((body["fromDate"], body["source"]))
        return msgspec.Raw(json.dumps([{"contactId": f"of {body['fromDate']}"}]).encode())

    def forget(self, inquiry: Inquiry) -> None:
        self.forgotten += 1


def discover(listing: Listing) -> Discovered:
    return virtual_time.run(
        activity.discover(listing, DAYS, (Source.MAIN, Source.ARCHIVE), 0, TRIES, PATIENCE)
    )


def test_each_day_and_source_is_asked_once() -> None:
    listing = Listing()
    assert discover(listing).contact_ids == {"of 2026-10-01", "of 2026-10-02"}
    assert sorted(listing.asked) == [
        (f"2026-10-0{day}", source) for day in (1, 2) for source in ("archive", "main")
    ]
    assert listing.forgotten == 4


@pytest.mark.parametrize("exc", [EpochLost(""), SessionLost(""), Throttled(429, 1.0)])
def test_interruptions_spend_no_try(exc: Exception) -> None:
    assert len(discover(Listing(iter([exc] * 10 * TRIES))).contact_ids) == 2


@pytest.mark.parametrize("exc", [EpochLost(""), SessionLost(""), Throttled(429, 1.0)])
def test_interruptions_without_end_end_the_run(exc: Exception) -> None:
    with pytest.raises(ServerSilent, match="interrupted for 60 s"):
        discover(Listing(iter([exc] * 1_000)))


@pytest.mark.parametrize("exc", [AnswerFailed(""), ServerFault("HTTP 500")])
def test_spent_tries_end_the_run(exc: Exception) -> None:
    assert len(discover(Listing(iter([exc] * (TRIES - 1)))).contact_ids) == 2
    with pytest.raises(ServerUnusable, match="2026-10-01"):
        discover(Listing(iter([exc] * TRIES)))
