"""Asks one window for every contact, main then archive, so many at once, and accounts for each.

Knows attempts, their retries, and when a run cannot go on. Does not know what a record looks like
(`flatten`), how parts are written (`recording`), what several requests together mean (`verdicts`)
or whether an answer is all there is (`scrutiny`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from history_pipeline.errors import (
    AnswerFailed,
    AttemptSpent,
    ContactUnknown,
    DeadlineExceeded,
    RequestRefused,
)
from history_pipeline.gws import wire
from history_pipeline.gws.inquiry import Answer, Inquiry
from history_pipeline.gws.insisting import PATIENCE, Asker, uninterrupted
from history_pipeline.history.account import Account
from history_pipeline.history.parting import Part
from history_pipeline.history.recording import Recorder
from history_pipeline.history.scrutiny import Looked, Scrutiny
from history_pipeline.history.verdicts import Verdicts, unavailable
from history_pipeline.model import (
    TRUNCATED,
    HistoryRequest,
    Outcome,
    RequestState,
    Source,
    Window,
)

LONGEST_PAUSE = 30.0
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Task:
    """What one window is to be asked, and how hard to try. `patience` is in seconds."""

    window: Window
    sources: tuple[Source, ...]
    criteria: wire.Filter
    concurrency: int
    max_attempts: int
    patience: float = PATIENCE


class Collector:
    """Collects one window. `settled` is what an earlier, killed try at it has already put down:
    columns contact_id, source and state."""

    def __init__(
        self,
        asker: Asker,
        recorder: Recorder,
        verdicts: Verdicts,
        task: Task,
        now: Callable[[], datetime],
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
        scrutiny: Scrutiny | None = None,
    ) -> None:
        self._asker = asker
        self._recorder = recorder
        self._verdicts = verdicts
        self._scrutiny = scrutiny or Scrutiny()
        self._task = task
        self._now = now
        self._on_outcome = on_outcome
        self.account = Account()

    async def collect(
        self,
        contact_ids: pa.Array,
        settled: pa.Table,
        exempt: pa.Table | None = None,
        taken: Iterable[tuple[Source, str, int]] = (),
    ) -> Account:
        """Settles every request of the window; returns how. Raises ServerUnusable or StorageError
        where it cannot; what was settled until then is on disk. `exempt` (columns contact_id and
        source) was answered by an earlier run, and is not asked. `taken` are those of `settled`
        whose answers were taken as they came, with how many records they had."""
        started = asyncio.get_running_loop().time()
        exempt = settled.slice(0, 0) if exempt is None else exempt
        self.account.planned = len(contact_ids) * len(self._task.sources) - exempt.num_rows
        self._scrutiny.begin(self.account.planned, taken)
        contacts = self._unsettled(contact_ids, settled, exempt)
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(min(self._task.concurrency, max(1, len(contact_ids)))):
                    workers.create_task(self._work(contacts))
            async with asyncio.TaskGroup() as workers:
                for request in self._scrutiny.longest(self._task.window):
                    workers.create_task(self._again(request))
        except BaseExceptionGroup as group:
            raise _first(group) from None
        spared = pc.sum(pc.equal(exempt["source"], Source.MAIN.value)).as_py() or 0
        self._put_down(self._verdicts.at_end(len(contact_ids), spared))
        await self._recorder.room()
        self.account.interactions, self.account.rejects = self._recorder.counts()
        self.account.findings = self._scrutiny.findings
        self.account.seconds = asyncio.get_running_loop().time() - started
        return self.account

    def _unsettled(
        self, contact_ids: pa.Array, settled: pa.Table, exempt: pa.Table
    ) -> Iterator[tuple[str, dict[Source, RequestState]]]:
        """Contacts with something left to ask, and how their other requests have ended. What has
        ended is counted at once."""
        ended: dict[Source, pa.Array] = {}
        for source in self._task.sources:
            states = _of_each(contact_ids, _rows_of(settled, source))
            for count in states.drop_null().value_counts().to_pylist():
                self.account.states[RequestState(count["values"])] += count["counts"]
            spared = pc.is_in(contact_ids, _rows_of(exempt, source)["contact_id"].combine_chunks())
            ended[source] = pc.if_else(spared, RequestState.ANSWERED.value, states)
        is_open = functools.reduce(pc.or_, map(pc.is_null, ended.values()))
        rows = pa.table([contact_ids, *ended.values()], names=["contact_id", *ended])
        for start in range(0, len(contact_ids), _CHUNK):
            some = rows.slice(start, _CHUNK).filter(is_open.slice(start, _CHUNK))
            for contact_id, *states in zip(*(each.to_pylist() for each in some), strict=True):
                known = zip(self._task.sources, states, strict=True)
                yield contact_id, {source: RequestState(state) for source, state in known if state}

    async def _work(self, contacts: Iterator[tuple[str, dict[Source, RequestState]]]) -> None:
        for contact_id, ended in contacts:
            await self._contact(contact_id, ended)

    async def _contact(self, contact_id: str, ended: dict[Source, RequestState]) -> None:
        """Main before archive: an interaction that the archiver moves meanwhile is seen."""
        for source in self._task.sources:
            if source in ended:
                continue
            request = HistoryRequest(contact_id, self._task.window, source)
            main = ended.get(Source.MAIN)
            if source is Source.ARCHIVE and main not in (None, RequestState.ANSWERED):
                self._follow(request, main)
                continue
            outcome = await self._settle(request)
            # main that is not proven to be all has answered nevertheless: archive may be asked
            is_cut = outcome.error == TRUNCATED
            ended[source] = RequestState.ANSWERED if is_cut else outcome.state
            await self._recorder.room()

    def _follow(self, request: HistoryRequest, main: RequestState | None) -> None:
        """Archive where main has no answer: it must not be asked, and shares main's fate."""
        if main is RequestState.GONE:
            outcome = self._outcome(request, RequestState.GONE, 0, 0.0, error="main: gone")
            self._put_down(self._verdicts.unknown(outcome))
        else:
            self._put_down(
                [self._outcome(request, RequestState.FAILED, 0, 0.0, error="main: not answered")]
            )

    async def _settle(self, request: HistoryRequest, *, is_doubted: bool = False) -> Outcome:
        """Asks until the request has ended, and puts that down. Where `is_doubted`, an answer was
        put down that may be cut: without another, it must not count."""
        if self._condemned(request):
            outcome = unavailable(self._outcome(request, RequestState.UNAVAILABLE, 0, 0.0))
            self._put_down([outcome])
            return outcome
        started = asyncio.get_running_loop().time()
        spent = _Spent()
        try:
            answer = await self._ask(request, request.window, self._task.criteria, spent)
            seconds = asyncio.get_running_loop().time() - started
            looked = await self._look(request, answer, spent)
        except (AttemptSpent, RequestRefused, ContactUnknown) as exc:
            seconds = asyncio.get_running_loop().time() - started
            if is_doubted:
                outcome = self._outcome(
                    request, RequestState.FAILED, spent.attempts, seconds, error=TRUNCATED
                )
                self._put_down([outcome])
                return outcome
            return self._ended_badly(request, exc, spent.attempts, seconds)
        outcome = self._outcome(request, RequestState.ANSWERED, spent.attempts, seconds)
        _, *others = self._verdicts.answered(outcome)
        if not looked.is_whole:
            outcome = replace(outcome, state=RequestState.FAILED, error=TRUNCATED)
        await self._recorder.answer(outcome, looked.records, looked.length)
        self._count(outcome)
        self._put_down(others)
        return outcome

    async def _look(self, request: HistoryRequest, answer: Answer, spent: _Spent) -> Looked:
        """The answer, or all that its parts hold where it looks cut; those that were put down
        before and look cut now are asked again first, so that no kill comes in between."""

        async def ask(part: Part) -> Answer:
            criteria = replace(
                self._task.criteria,
                overlap_days=0,
                media_type=part.media_type,
                is_descending=part.is_descending,
            )
            days = Window(part.first, part.last + timedelta(days=1))
            of_part = _Spent()
            try:
                return await self._ask(request, days, criteria, of_part)
            finally:
                spent.attempts += of_part.attempts - 1

        looked = await self._scrutiny.look(request, self._task.criteria, answer, ask)
        for contact_id in looked.doubtful:
            await self._again(HistoryRequest(contact_id, request.window, request.source))
        return looked

    async def _again(self, request: HistoryRequest) -> None:
        """What was put down as answered is asked again, and archive after main: what the parts
        of main hold now may have been on its way there."""
        before = self._task.sources.index(request.source)
        for source in self._task.sources[before:]:
            outcome = await self._settle(replace(request, source=source), is_doubted=True)
            # one request, counted once: as answered, unless that is now known to be cut
            is_cut = outcome.error == TRUNCATED
            self.account.states[RequestState.ANSWERED if is_cut else outcome.state] -= 1
            await self._recorder.room()

    def _ended_badly(
        self, request: HistoryRequest, exc: Exception, attempts: int, seconds: float
    ) -> Outcome:
        if self._condemned(request) and isinstance(exc, AttemptSpent):
            # found unavailable while this was being asked; what it failed of says no more
            outcome = unavailable(
                self._outcome(request, RequestState.UNAVAILABLE, attempts, seconds)
            )
            self._put_down([outcome])
            return outcome
        state = RequestState.GONE if isinstance(exc, ContactUnknown) else RequestState.FAILED
        outcome = self._outcome(request, state, attempts, seconds, error=_word(exc))
        if isinstance(exc, ContactUnknown):
            self._put_down(self._verdicts.unknown(outcome))
        elif isinstance(exc, AnswerFailed):
            self._put_down(self._verdicts.errored(outcome))
        else:
            self._put_down(self._verdicts.failed(outcome))
        return outcome

    async def _ask(
        self, request: HistoryRequest, days: Window, criteria: wire.Filter, spent: _Spent
    ) -> Answer:
        inquiry = Inquiry(
            wire.history_path(request.contact_id),
            wire.history_body(days, request.source, criteria),
        )
        try:
            while True:
                spent.attempts += 1
                try:
                    return await uninterrupted(self._asker, inquiry, self._task.patience)
                except AttemptSpent as exc:
                    if spent.attempts >= self._task.max_attempts or self._condemned(request):
                        raise
                    await asyncio.sleep(_pause(exc, spent.attempts))
        finally:
            self._asker.forget(inquiry)

    def _condemned(self, request: HistoryRequest) -> bool:
        return request.source is Source.ARCHIVE and self._verdicts.archive_unavailable

    def _outcome(
        self,
        request: HistoryRequest,
        state: RequestState,
        attempts: int,
        seconds: float,
        error: str | None = None,
    ) -> Outcome:
        return Outcome(request, state, self._now(), attempts, seconds, error)

    def _put_down(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self._recorder.settle(outcome)
            self._count(outcome)

    def _count(self, outcome: Outcome) -> None:
        self.account.add(outcome)
        self._on_outcome(outcome)


def _rows_of(rows: pa.Table, source: Source) -> pa.Table:
    return rows.filter(pc.equal(rows["source"], source.value))


def _of_each(contact_ids: pa.Array, ended: pa.Table) -> pa.Array:
    """The state of each contact's request; null where it has not ended."""
    places = pc.index_in(contact_ids, ended["contact_id"].combine_chunks())
    return ended["state"].combine_chunks().take(places)


@dataclass(slots=True)
class _Spent:
    attempts: int = 0


def _pause(failure: AttemptSpent, attempts: int) -> float:
    """After a deadline enough time has passed; after an error the server gets a growing rest."""
    if isinstance(failure, DeadlineExceeded):
        return 0.0
    return min(0.25 * 2.0**attempts, LONGEST_PAUSE)


def _word(exc: Exception) -> str:
    """The reason as the ledger keeps it: a kind, and what our own message says of it."""
    match exc:
        case DeadlineExceeded():
            return "deadline: no notification in time"
        case AnswerFailed():
            return "errorMessage in the notification"
        case ContactUnknown():
            return "contact unknown"
        case _:
            return str(exc)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended the workers; the others only follow from it."""
    exc = group.exceptions[0]
    return _first(exc) if isinstance(exc, BaseExceptionGroup) else exc
