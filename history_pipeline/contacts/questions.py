"""Asks one question of discovery until it is answered, and puts down how that went.

Knows tries, sizes and the ledger. Does not know which days are asked for, or why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import partial

from history_pipeline.contacts import sightings
from history_pipeline.contacts.sightings import Sightings
from history_pipeline.contacts.sizes import MaxSize
from history_pipeline.errors import (
    AttemptSpent,
    ContactUnknown,
    PipelineError,
    RequestRefused,
    ServerUnusable,
)
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.insisting import Asker, uninterrupted
from history_pipeline.model import DiscoveryRequest, ListingState, Source, Window


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Question:
    """RetrieveInteractionHistory from a day to a day, both as they are sent."""

    first: date
    last: date
    source: Source
    sort: str = "asc"
    media_type: str | None = None

    def body(self, size: int) -> bytes:
        days = Window(self.first, self.last + timedelta(days=1))
        return wire.activity_body(days, self.source, 0, size, self.media_type, self.sort)

    def __str__(self) -> str:
        kind = f", {self.media_type}" if self.media_type else ""
        return f"{self.first}..{self.last} ({self.source.value}{kind})"


@dataclass(slots=True)
class Questions:
    """How hard to try for each answer, and how much to ask for: found out once, kept for the run.

    Until a size was granted, a failure counts against the size, which may be what the server
    cannot bear; from then on, against the question. Contacts of an answer are those who were
    active on these `days` of the zone.
    """

    asker: Asker
    days: Window
    zone: tzinfo | None
    tries: int
    patience: float
    on_request: Callable[[DiscoveryRequest], None] = lambda request: None
    now: Callable[[], datetime] = _utc_now
    size: MaxSize = field(default_factory=MaxSize)

    async def ask(self, question: Question) -> tuple[Sightings, int]:
        """The answer, and how many records were asked for at most. Raises ServerUnusable where
        it cannot be had."""
        best: tuple[Sightings, int] | None = None
        while True:
            size = self.size.size
            try:
                seen = await self._answer(question, size)
            except (RequestRefused, ContactUnknown) as exc:
                if not self.size.refuse():
                    raise _unusable(question, exc) from exc
            except AttemptSpent as exc:
                if self.size.is_tried or not self.size.refuse():
                    raise _unusable(question, exc) from exc
            else:
                self.size.grant()
                best = seen, size
                if seen.records < size:
                    return best
            if best is not None and not (self.size.is_tried and self.size.enlarge()):
                return best

    async def try_to_ask(self, question: Question) -> tuple[Sightings, int]:
        """The same of a question that a server need not take, at the size that it has granted.
        Raises AttemptSpent or RequestRefused where it does not."""
        size = self.size.size
        try:
            return await self._answer(question, size), size
        except ContactUnknown as exc:
            raise RequestRefused(str(exc)) from exc

    async def _answer(self, question: Question, size: int) -> Sightings:
        """Tries as often as it may; raises what the last try has raised."""
        loop = asyncio.get_running_loop()
        inquiry = Inquiry(wire.INTERACTIONS_PATH, question.body(size))
        began, tries = loop.time(), self.tries if self.size.is_tried else 1
        ended = partial(self._put_down, question, size)
        attempts = 0
        try:
            while True:
                attempts += 1
                try:
                    answer = await uninterrupted(self.asker, inquiry, self.patience)
                    break
                except AttemptSpent:
                    if attempts >= tries:
                        raise
            seen = sightings.read(payloads.records(answer), self.days, self.zone)
        except PipelineError as exc:
            is_refused = isinstance(exc, RequestRefused | ContactUnknown)
            state = ListingState.REFUSED if is_refused else ListingState.FAILED
            ended(state, attempts, loop.time() - began, error=str(exc))
            raise
        finally:
            self.asker.forget(inquiry)
        ended(ListingState.ANSWERED, attempts, loop.time() - began, seen=seen)
        return seen

    def _put_down(
        self,
        question: Question,
        size: int,
        state: ListingState,
        attempts: int,
        seconds: float,
        *,
        seen: Sightings | None = None,
        error: str | None = None,
    ) -> None:
        seen = seen or Sightings()
        self.on_request(
            DiscoveryRequest(
                question.first,
                question.last,
                question.source,
                question.media_type,
                question.sort,
                size,
                state,
                self.now(),
                seen.records,
                seen.nobodys,
                attempts,
                round(seconds, 6),
                error,
            )
        )


def _unusable(question: Question, exc: Exception) -> ServerUnusable:
    return ServerUnusable(
        f"RetrieveInteractionHistory for {question} was not answered: {exc}; "
        "use HISTORY_CONTACTS=file:PATH where the site does not offer it, and "
        "HISTORY_SOURCES=main where it has no archive"
    )
