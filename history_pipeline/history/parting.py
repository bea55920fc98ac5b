"""Asks again, in parts, for what a cut answer may lack.

Halves of the days asked for, down to single days, then one media type at a time. Parts tile the
days whether the server answers `toDate`'s own day or not: until that is seen, each part reaches a
day into the next. Knows days and media types; does not know attempts, sources or contacts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import msgspec

from history_pipeline.errors import PipelineError
from history_pipeline.gws import payloads
from history_pipeline.gws.inquiry import Answer
from history_pipeline.model import REQUESTABLE_MEDIA_TYPES

_DAY = timedelta(days=1)

Records = dict[str | bytes, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Part:
    """What one question asks for: `first` and `last` as they are sent, both days named."""

    first: date
    last: date
    media_type: str | None = None
    is_descending: bool = False


Ask = Callable[[Part], Awaitable[Answer]]


@dataclass(slots=True)
class Parting:
    """Asks for parts of `whole`, whose answer has come and may be cut. `is_suspect` says which
    lengths of a part's answer may be cuts. `records` are those that the parts held."""

    ask: Ask
    whole: Part
    is_suspect: Callable[[int], bool]
    records: Records = field(default_factory=dict)
    is_whole: bool = True
    """Whether no part may be cut that could not be parted again."""
    _includes_last_day: bool = False
    """Whether this server was seen to answer `toDate`'s own day."""

    async def go_through(self, answer: Answer) -> None:
        """Asks for all parts that it takes. `answer` is the whole's. Raises what `ask` raises."""
        await self._divide(self.whole.first, self.whole.last, self.whole, answer)

    async def _divide(self, first: date, last: date, part: Part, answer: Answer) -> None:
        """`answer`, to `part`, covers the days from `first` to `last`, and may be cut."""
        if first == last:
            await self._one_day(part, answer)
            return
        middle = first + (last - first) // 2
        # where one fails the other is waited for: cancelled, it would give its place to the next
        # question while the server is still at work on it
        halves = (first, middle), (middle + _DAY, last)
        ended = await asyncio.gather(
            *(self._cover(*half) for half in halves), return_exceptions=True
        )
        if failures := [exc for exc in ended if exc is not None]:
            # one question's end must not hide a fault of ours
            raise next((exc for exc in failures if not isinstance(exc, PipelineError)), failures[0])

    async def _cover(self, first: date, last: date) -> None:
        reach = last if self._includes_last_day else min(last + _DAY, self.whole.last)
        part = replace(self.whole, first=first, last=reach)
        answer = await self.ask(part)
        if self.is_suspect(payloads.count(answer)):
            await self._divide(first, last, part, answer)
        else:
            self._add(answer)

    async def _one_day(self, part: Part, answer: Answer) -> None:
        """The day that `part` begins with: without the next one, if the server answers that."""
        if part.last > part.first:
            alone = replace(part, last=part.first)
            of_the_day = await self.ask(alone)
            if length := payloads.count(of_the_day):
                self._includes_last_day = True
                part, answer = alone, of_the_day
                if not self.is_suspect(length):
                    self._add(answer)
                    return
        self._add(answer)
        if part.media_type is None:
            for media_type in REQUESTABLE_MEDIA_TYPES:
                of_type = replace(part, media_type=media_type)
                await self._least_part(of_type, await self.ask(of_type))
        else:
            await self._least_part(part, answer)

    async def _least_part(self, part: Part, answer: Answer) -> None:
        """A day and media type cannot be parted. What comes in either order is all there is, if
        the server obeys the order at all: one that cuts would leave out others each time."""
        self._add(answer)
        if not self.is_suspect(payloads.count(answer)):
            return
        backwards = await self.ask(replace(part, is_descending=True))
        self._add(backwards)
        there, back = list(payloads.by_identity(answer)), list(payloads.by_identity(backwards))
        if there == back or set(there) != set(back):
            self.is_whole = False

    def _add(self, answer: Answer) -> None:
        self.records |= payloads.by_identity(answer)
