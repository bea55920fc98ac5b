"""The nouns of the pipeline.

Knows what a request is and how it can end. Does not know HTTP, Bayeux, files or time zones;
imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

REQUESTABLE_MEDIA_TYPES = (
    "call",
    "chat",
    "email",
    "facebook",
    "facebooksession",
    "openmedia",
    "twitter",
    "workitem",
)
"""Values that the `mediaType` parameter takes (RetrieveContactHistory, parameters)."""


class Source(StrEnum):
    """Where the server looks an interaction up; asked in this order (the archiver moves on)."""

    MAIN = "main"
    ARCHIVE = "archive"


class RequestState(StrEnum):
    """What became of a request. A planned request ends in exactly one of these."""

    ANSWERED = "answered"
    UNAVAILABLE = "unavailable"
    GONE = "gone"
    FAILED = "failed"


TRUNCATED = "truncated: the server cuts its answers, and the parts do not prove to be all"
"""Why a request has failed that was answered, in an outcome's `error`."""


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open span of the server's local days: `start` is in, `end` is out."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"empty window: {self.start} .. {self.end}")

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def last(self) -> date:
        """The last day that is in."""
        return self.end - timedelta(days=1)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=n) for n in range(self.days))

    def __str__(self) -> str:
        return f"{self.start}..{self.last}"


@dataclass(frozen=True, slots=True)
class Contact:
    """A customer of the contact centre. `attributes` is whatever else its list said of it."""

    contact_id: str
    attributes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.contact_id:
            raise ValueError("a contact needs an id")


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """One contact, one window, one source: the unit that is accounted for."""

    contact_id: str
    window: Window
    source: Source


@dataclass(frozen=True, slots=True)
class OpenInteraction:
    """One that had not ended when it was last seen. `contact_id` is whom to ask about it, and
    `asked_at` when that contact was last asked for its day, whatever came; `is_missing` says that
    main did not show it then, and that archive was not asked since."""

    contact_id: str
    day: date
    started_at: datetime
    asked_at: datetime
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended: a row of the ledger, less what the run adds.

    `attempts` counts spent attempts and the last one; `seconds` runs from the first
    sending to the end. `error` names a reason and never quotes the server.
    """

    request: HistoryRequest
    state: RequestState
    finished_at: datetime
    attempts: int = 1
    seconds: float = 0.0
    error: str | None = None


class ListingState(StrEnum):
    """What became of one question of discovery."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DiscoveryRequest:
    """One question of discovery, and how it ended: a row of the ledger, less what the run adds.

    The dates are as they were sent. `media_type` None is all of them; `records` counts those of
    the answer, `nobodys` those of them without a contact. The rest is as in `Outcome`.
    """

    from_date: date
    to_date: date
    source: Source
    media_type: str | None
    sort: str
    max_size: int
    state: ListingState
    finished_at: datetime
    records: int = 0
    nobodys: int = 0
    attempts: int = 1
    seconds: float = 0.0
    error: str | None = None
