"""`activity`: the contacts that RetrieveInteractionHistory shows active in the days asked for.

A span of days is asked as a whole, first things first and then last things first. Where the two
answers do not meet, something between them is missing: the span is asked in halves, down to a day,
and a day by media types. What is still cut is said. Interactions without a contact do not show
here, nor do media types that a missing feature hides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta, tzinfo

from history_pipeline.contacts import sightings
from history_pipeline.contacts.questions import Question, Questions
from history_pipeline.contacts.sightings import Sightings
from history_pipeline.contacts.sizes import Lengths
from history_pipeline.errors import AttemptSpent, RequestRefused
from history_pipeline.gws.insisting import PATIENCE, Asker
from history_pipeline.model import (
    REQUESTABLE_MEDIA_TYPES,
    DiscoveryRequest,
    Source,
    Window,
)

LONGEST_SPAN = 31
_DAY = timedelta(days=1)

Answer = tuple[Sightings, int]
"""What came, and how many records were asked for at most."""


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


async def discover(
    asker: Asker,
    days: Window,
    sources: tuple[Source, ...],
    overlap_days: int,
    tries: int,
    patience: float = PATIENCE,
    *,
    zone: tzinfo | None = None,
    longest_span: int = LONGEST_SPAN,
    on_request: Callable[[DiscoveryRequest], None] = lambda request: None,
) -> Discovered:
    """Every contact active in these days, which are those of `zone`; without one, some who were
    active on the overlap's days are among them. `longest_span` is in days. Raises ServerUnusable
    where a listing cannot be had: one of its answers spent so many attempts, or was interrupted
    for `patience` seconds."""
    survey = _Survey(Questions(asker, days, zone, tries, patience, on_request))
    for span in _spans(days, overlap_days, longest_span):
        # main before archive, in each span: what the archiver moves meanwhile is seen in one
        for source in sources:
            await survey.settle(Tile(*span, *span), source)
    survey.name_the_unlisted()
    return survey.found


def _spans(days: Window, overlap_days: int, longest: int) -> Iterator[tuple[date, date]]:
    """First and last day to ask for, as history is asked for: with the overlap at both ends."""
    overlap = timedelta(days=overlap_days)
    start = days.start
    while start < days.end:
        end = min(start + timedelta(days=longest), days.end)
        yield start - overlap, end - _DAY + overlap
        start = end


@dataclass(frozen=True, slots=True)
class Tile:
    """Some days of a span that is asked for, from `first` to `last`."""

    span_first: date
    span_last: date
    first: date
    last: date

    @property
    def is_span(self) -> bool:
        return (self.first, self.last) == (self.span_first, self.span_last)

    @property
    def next(self) -> date:
        """The day to ask for too, as a server may leave `toDate` out. The span ends as it does."""
        return min(self.last + _DAY, self.span_last)

    def with_neighbour(self, source: Source) -> Question:
        """One day, asked for so that it is there whether `toDate` is included or not."""
        if self.next > self.last:
            return Question(self.first, self.next, source)
        return Question(self.first - _DAY, self.last, source)

    def halves(self) -> tuple[Tile, Tile]:
        middle = self.first + (self.last - self.first) // 2
        return replace(self, last=middle), replace(self, first=middle + _DAY)


@dataclass(slots=True)
class _Survey:
    """What is known so far of the contacts, and of the server."""

    questions: Questions
    found: Discovered = field(default_factory=Discovered)
    _lengths: Lengths = field(default_factory=Lengths)
    _includes_last: bool = False
    """Whether `toDate` is included; it is not believed without a proof."""
    _types: set[str] = field(default_factory=set)
    """Media types seen, in lower case."""
    _typed: list[tuple[date, Source, set[str]]] = field(default_factory=list)
    """Days that were asked by media types, and those that were answered."""
    _named: set[CutListing] = field(default_factory=set)

    async def settle(self, tile: Tile, source: Source) -> None:
        """Finds whoever was active on these days, or names what was not listed in full."""
        if tile.first == tile.last:
            await self._settle_day(tile, source)
            return
        question = Question(tile.first, tile.last if self._includes_last else tile.next, source)
        whole, _ = await self._look(question, is_doubted=tile.is_span)
        if not whole:
            for half in tile.halves():
                await self.settle(half, source)

    async def _settle_day(self, tile: Tile, source: Source) -> None:
        """Without its neighbours where it can be, of whom there may be too many. Of a day alone, a
        server that leaves `toDate` out has nothing to show."""
        question = Question(tile.first, tile.last, source)
        answer, was_empty = None, False
        if not self._includes_last and not tile.is_span:
            answer = await self._if_taken(question)
            was_empty = answer is not None and not answer[0].records
            if answer is None or was_empty:
                question, answer = tile.with_neighbour(source), None
        whole, kinds = await self._look(question, answer, is_doubted=tile.is_span)
        if was_empty and self._includes_last:
            return  # it came out meanwhile that an empty answer was all of it
        if not whole:
            await self._settle_by_media_type(tile.first, question, kinds)

    async def _if_taken(self, question: Question) -> Answer | None:
        try:
            return await self.questions.try_to_ask(question)
        except (RequestRefused, AttemptSpent):
            return None

    async def _look(
        self, question: Question, answer: Answer | None = None, *, is_doubted: bool = False
    ) -> tuple[bool, dict[str, str]]:
        """Whether all that there is was seen, and the media types of what was, by id. `answer` is
        what came already. A length alone proves nothing while the server is not known: one that
        `is_doubted` is asked the other way round whatever its length."""
        first, size = answer or await self.questions.ask(question)
        self._take(question, first)
        is_cut = self._lengths.may_be_cut(first.records, size, question.source)
        if not first.records or not (is_cut or is_doubted):
            return True, first.media_types
        last, _ = await self.questions.ask(replace(question, sort="desc"))
        self._take(question, last)
        if not last.starts.keys() <= first.starts.keys():
            self._lengths.cut_at(first.records, question.source)
        return sightings.are_whole(first, last), first.media_types | last.media_types

    def _take(self, question: Question, seen: Sightings) -> None:
        self.found.contact_ids |= seen.contact_ids
        self._types.update(seen.media_types.values())
        self._includes_last |= sightings.shows_its_last_day(seen, question.last)

    async def _settle_by_media_type(
        self, day: date, question: Question, kinds: dict[str, str]
    ) -> None:
        """`kinds` are the media types of what was seen of the day, by id: the parts must have
        all of these. Types that are not documented are tried as well, where they were seen."""
        answered = set[str]()
        left = dict(kinds)
        for media_type in (*REQUESTABLE_MEDIA_TYPES, *sorted(self._unlisted())):
            of_type = replace(question, media_type=media_type)
            try:
                answer = await self.questions.try_to_ask(of_type)
                whole, part = await self._look(of_type, answer)
            except RequestRefused:
                continue
            except AttemptSpent:
                whole, part = False, {}
            answered.add(media_type)
            for each in part:
                left.pop(each, None)
            if not whole:
                self._name(day, question.source, media_type)
        for media_type in sorted({kind for kind in left.values() if kind in answered}):
            self._name(day, question.source, media_type)
        self._typed.append((day, question.source, answered))

    def _unlisted(self) -> set[str]:
        return self._types - {*REQUESTABLE_MEDIA_TYPES, ""}

    def name_the_unlisted(self) -> None:
        """Days that were asked by media types, where the server has some that cannot be asked for:
        nobody knows what these days have of them. Call it when all else is settled."""
        for day, source, answered in self._typed:
            for media_type in sorted(self._types - answered):
                self._name(day, source, media_type or "none")

    def _name(self, day: date, source: Source, media_type: str) -> None:
        cut = CutListing(day, source, media_type)
        if cut not in self._named:
            self._named.add(cut)
            self.found.cut.append(cut)
