"""Looks for a contact with history: the one that is given, or one that was active lately, or one of
the first that are listed. Asks as little as does."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from history_pipeline.probing.asking import Questioner
from history_pipeline.probing.seen import Ending, Reply, Seen

_SPANS = (31, 366)
"""Days back in which somebody is looked for, before all of them are."""

_NEWEST = 1_000
"""Interactions that are looked through for somebody who was active."""

_TRIED = 5
_TELLING = (Ending.ANSWERED, Ending.REFUSED, Ending.ERROR, Ending.UNKNOWN)
"""How a server says whether it offers an operation; silence says nothing."""

_ENOUGH = 2
"""Interactions that a contact needs to be worth asking about."""


@dataclass(frozen=True, slots=True)
class Found:
    """A contact and all of its history since `first`; or, without an id, the reply that shows that
    there is none."""

    contact_id: str | None
    first: date
    reply: Reply


@dataclass(slots=True)
class Search:
    """From `first` to `last`. `has_activity` is whether RetrieveInteractionHistory was answered;
    `lately` what it showed, and `answered` a contact whose history was, even if there is none;
    `silence` is what came in place of an answer, where nothing told whether it is offered."""

    ask: Questioner
    first: date
    last: date
    has_activity: bool | None = None
    answered: str | None = None
    lately: Seen = field(default_factory=Seen)
    silence: Reply | None = None

    async def somebody(self, given: str | None, listed: Sequence[str]) -> Found:
        """Whoever has enough first; else the one who has most."""
        best = Found(None, self.first, Reply(Ending.ANSWERED))
        async for contact_id in self._candidates(given, listed):
            found = await self._whole(contact_id)
            if found.reply.is_answered:
                self.answered = contact_id
            if _amount(found) > _amount(best):
                best = found
            elif best.contact_id is None:
                best = Found(None, found.first, found.reply)
            if _amount(best) >= _ENOUGH or found.reply.ending is Ending.TIME_UP:
                break
        if best.contact_id is None and self.silence is not None:
            best = Found(None, self.first, self.silence)
        return best

    async def _candidates(self, given: str | None, listed: Sequence[str]) -> AsyncIterator[str]:
        if given is not None:
            yield given
            return
        for contact_id in await self._active():
            yield contact_id
        for contact_id in listed[:_TRIED]:
            yield contact_id

    async def _active(self) -> list[str]:
        """Those who had most interactions among the newest."""
        for span in (*_SPANS, None):
            first = self.first if span is None else self._days_back(span)
            reply = await self.ask.about_all(first, self.last, _NEWEST)
            if reply.ending in _TELLING:
                self.has_activity = reply.is_answered
            else:
                self.silence = reply
            if not reply.is_answered:
                break
            if ids := _busiest(reply.seen):
                self.lately = reply.seen
                return ids
        return []

    async def _whole(self, contact_id: str) -> Found:
        """As far back as the server answers for at once."""
        found = Found(
            contact_id, self.first, await self.ask.about(contact_id, self.first, self.last)
        )
        for span in reversed(_SPANS):
            if found.reply.ending is not Ending.REFUSED:
                break
            first = self._days_back(span)
            found = Found(contact_id, first, await self.ask.about(contact_id, first, self.last))
        return found

    def _days_back(self, span: int) -> date:
        return max(self.first, self.last - timedelta(days=span))


def _amount(found: Found) -> int:
    return len(found.reply.seen.sightings)


def _busiest(seen: Seen) -> list[str]:
    counted = Counter(each.contact_id for each in seen.sightings if each.contact_id)
    return [name for name, _ in counted.most_common(_ENOUGH)]
