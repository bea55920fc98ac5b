"""Asks what is open, about a contact with history: two dozen requests, within 40 seconds.

Reads and changes nothing. Days that have not ended everywhere are left out, so that what starts
meanwhile is in no answer. What the answers mean is for the pure modules of this room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from statistics import median_low

from history_pipeline.errors import PipelineError
from history_pipeline.gws.client import GwsClient
from history_pipeline.history.instants import local_day
from history_pipeline.model import Source
from history_pipeline.probing import answers, day_verdicts, days, sessions
from history_pipeline.probing.asking import Questioner
from history_pipeline.probing.days import Reckoning
from history_pipeline.probing.finding import Finding, Question, unsettled
from history_pipeline.probing.search import Found, Search
from history_pipeline.probing.seen import Ending, Reply, Seen, Sighting
from history_pipeline.settings import Settings

BUDGET = 40.0
"""Seconds for all of it: with login, listing and canaries, `check` stays within a minute."""

NOBODY = "0000nobody000000"
"""An id of the form that customers' have; that somebody has it is not to be expected."""

_DAY_QUESTIONS = 5
_OTHERS = 2
_OVER_EVERYWHERE = timedelta(days=2)
_ONE_DAY = timedelta(days=1)
_AROUND = timedelta(days=3)

_SILENT = (Ending.TIME_UP, Ending.LATE, Ending.FAILED)
_OF_A_CONTACT = (
    Question.TO_DATE,
    Question.DAYS,
    Question.OFFSETS,
    Question.LENGTH,
    Question.SORT,
)

Connect = Callable[[], AbstractAsyncContextManager[GwsClient]]


@dataclass(slots=True)
class Interview:
    """`connect` opens a second session with cookies of its own; `listed` are ids to try where
    nobody is `given`; `today` is the server's. `until` is when it has to be over, in seconds of the
    loop's clock, and `seconds` holds how long answers took before."""

    client: GwsClient
    connect: Connect
    settings: Settings
    today: date
    until: float
    given: str | None = None
    listed: Sequence[str] = ()
    seconds: Sequence[float] = ()
    findings: list[Finding] = field(default_factory=list)
    has_activity: bool | None = None
    _ask: Questioner = field(init=False)
    _search: Search = field(init=False)

    async def hold(self) -> None:
        """Asks, and adds to `findings`. Raises ServerUnusable where the server cannot be used any
        more."""
        last = self.today - _OVER_EVERYWHERE
        self._ask = Questioner(self.client, min(self.until, _now() + BUDGET))
        self._search = Search(self._ask, min(self.settings.start_date, last), last)
        found = await self._search.somebody(self.given, self.listed)
        self.has_activity = self._search.has_activity
        if found.contact_id is None:
            await self._about_nobody(found.reply)
        else:
            await self._about(found.contact_id, found)
        await self._two_sessions()
        terms = self.client.terms
        interval = terms.interval if terms else 0.0
        seconds = [*self.seconds, *self._ask.seconds]
        self.findings.append(answers.time(seconds, interval, self.settings))

    # -- one contact --------------------------------------------------------------------------

    async def _about(self, contact_id: str, found: Found) -> None:
        first, last, whole = found.first, self._search.last, found.reply
        falling, archive, unknown = await asyncio.gather(
            self._ask.about(contact_id, first, last, ascending=False),
            self._ask.about(contact_id, first, last, source=Source.ARCHIVE),
            self._ask.about(NOBODY, last, last),
        )
        others = [falling.seen]
        halves = await self._parts(contact_id, self._halves(found))
        others += [each.seen for each in halves]
        if not answers.left_out(whole.seen, others):
            others += [each.seen for each in await self._parts(contact_id, self._beside(found))]
        is_halved = bool(halves) and all(
            each.is_answered and each.seen.total < whole.seen.total for each in halves
        )
        self.findings += [
            answers.archive(archive, whole),
            answers.order(whole, falling),
            answers.length(
                whole.seen,
                others,
                is_halved=is_halved,
                window_days=self.settings.window_days,
            ),
            answers.unknown(unknown),
        ]
        is_cut = bool(answers.left_out(whole.seen, others))
        await self._days(contact_id, [whole.seen, *others], whole.seen.total if is_cut else None)

    async def _parts(self, contact_id: str, parts: Sequence[tuple[date, date]]) -> list[Reply]:
        return await asyncio.gather(
            *(self._ask.about(contact_id, first, last) for first, last in parts if first <= last)
        )

    def _halves(self, found: Found) -> list[tuple[date, date]]:
        """The span in two, each with half of what the whole shows; they overlap, because where days
        end is not known yet."""
        middle = local_day(median_low(found.reply.seen.moments), self.settings.zone)
        first, last = found.first, self._search.last
        if not first < middle < last:
            return []
        return [(first, middle + _ONE_DAY), (middle - _ONE_DAY, last)]

    def _beside(self, found: Found) -> list[tuple[date, date]]:
        """The days before and after all that the whole shows: where it is cut, and all of it lies
        close together, its halves can be cut just so."""
        moments, zone = found.reply.seen.moments, self.settings.zone
        oldest, newest = local_day(min(moments), zone), local_day(max(moments), zone)
        return [(found.first, oldest - _ONE_DAY), (newest + _ONE_DAY, self._search.last)]

    async def _days(self, contact_id: str, all_seen: Sequence[Seen], limit: int | None) -> None:
        """Asks for single days until it is clear where they begin; where this contact's do not
        tell, for those of somebody who was active in the hours that do."""
        sightings = _each_once(all_seen)
        reckoning = Reckoning(self.settings.timezone, sightings)
        await self._reckon(contact_id, reckoning, limit)
        for _ in range(_OTHERS):
            other = days.telling(self._search.lately.sightings, reckoning)
            if not reckoning.rivals or other is None or other.contact_id is None:
                break
            day = local_day(other.moment, self.settings.zone)
            around = await self._ask.about(other.contact_id, day - _AROUND, day + _AROUND)
            reckoning = reckoning.with_another(around.seen.sightings)
            await self._reckon(other.contact_id, reckoning, limit)
        self.findings += [
            day_verdicts.to_date(reckoning, self.settings.overlap_days),
            day_verdicts.zone(reckoning),
            day_verdicts.offsets(sightings, self.settings.timezone),
        ]

    async def _reckon(self, contact_id: str, reckoning: Reckoning, limit: int | None) -> None:
        for _ in range(_DAY_QUESTIONS):
            asked = reckoning.next_question()
            if asked is None:
                break
            reply = await self._ask.about(contact_id, *asked)
            if reply.is_answered and (limit is None or reply.seen.total < limit):
                reckoning.answered(asked, reply.seen.ids)
            else:
                reckoning.passed(asked)

    async def _about_nobody(self, shown: Reply) -> None:
        """What can be asked without anybody's history."""
        last = self._search.last
        unknown = await self._ask.about(NOBODY, last, last)
        self.findings.append(answers.unknown(unknown))
        why = "no contact with history was found: give one with --contact"
        if self.given is not None:
            why = f"the contact given has no history in main ({shown}): give another with --contact"
        elif shown.ending in _SILENT:
            why = f"no contact with history was found ({shown}): give one with --contact"
        if self._search.answered is not None:
            archive = await self._ask.about(
                self._search.answered, last, last, source=Source.ARCHIVE
            )
            self.findings.append(answers.archive(archive, None))
        else:
            self.findings.append(unsettled(Question.ARCHIVE, why))
        self.findings += [unsettled(question, why) for question in _OF_A_CONTACT]

    # -- two sessions -------------------------------------------------------------------------

    async def _two_sessions(self) -> None:
        """One question here, there, and here again."""
        try:
            async with asyncio.timeout_at(self._ask.until), self.connect() as other:
                self.findings += await self._compared(other)
                return
        except TimeoutError:
            why = str(Ending.TIME_UP.value)
        except PipelineError as exc:
            why = f"a second session could not be used: {exc}"
        self.findings += _two_unsettled(why)

    async def _compared(self, other: GwsClient) -> list[Finding]:
        somebody = self._search.answered or NOBODY
        there_asks = Questioner(other, self._ask.until)
        last = self._search.last
        before = await self._ask.about(somebody, last, last)
        epochs, heard = self.client.tally.handshakes, self.client.tally.unmatched
        there = await there_asks.about(somebody, last, last)
        after = await self._ask.about(somebody, last, last)
        self._ask.seconds += there_asks.seconds
        ids = [each.reference_id for each in (before, there, after) if each.reference_id]
        if len(ids) < 3:
            failed = next(each for each in (before, there, after) if not each.reference_id)
            return _two_unsettled(f"a question that is asked in both was not answered: {failed}")
        if self.client.tally.handshakes != epochs:
            return [sessions.one_at_a_time(question) for question in sessions.QUESTIONS]
        return [
            sessions.reference_ids(*ids),
            sessions.hearing(
                self.client.tally.unmatched - heard,
                other.tally.unmatched,
                is_one_counter=sessions.is_one_counter(*ids),
            ),
        ]


def _now() -> float:
    return asyncio.get_running_loop().time()


def _two_unsettled(why: str) -> list[Finding]:
    return [unsettled(question, why) for question in sessions.QUESTIONS]


def _each_once(all_seen: Sequence[Seen]) -> list[Sighting]:
    return list(
        {each.interaction_id: each for seen in all_seen for each in seen.sightings}.values()
    )
