"""Each promise's twin: the fault that it guards against is put in by hand, and the judge sees it.

A judge who finds nothing wrong proves something only where he finds these.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from history_pipeline.errors import (
    DeadlineExceeded,
    EpochLost,
    ServerFault,
    Throttled,
)
from history_pipeline.gws import channel, payloads, wire
from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.correlation import Correlator
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.telling_apart import ReferenceIds
from history_pipeline.history import collect
from history_pipeline.history.collect import Collector
from history_pipeline.history.verdicts import Verdicts
from history_pipeline.model import Outcome, RequestState, Source
from history_pipeline_tests.chaos import judging
from history_pipeline_tests.chaos.histories import History
from history_pipeline_tests.chaos.playing import play
from history_pipeline_tests.chaos.test_chaos import COUNTS_AGAIN, COUNTS_AGAIN_UNHEARD
from history_pipeline_tests.families import mostly_slow

Patch = Callable[[pytest.MonkeyPatch], None]

CALM = History(5, contacts=20, windows=2, concurrency=8, per_second=0.0, deadline=20.0,
               canary=10.0, switches=(("latency_ms", (20, 200)),))  # fmt: skip


def with_switches(**switches: Any) -> History:
    return replace(CALM, switches=(*CALM.switches, *switches.items()))


def by_order(twin: pytest.MonkeyPatch) -> None:
    """Whoever waits longest gets the next answer."""

    def notified(self: Any, reference_id: str, payload: Any) -> Any:
        first = next(iter(self._waiting), None)
        return None if first is None else self._waiting.pop(first).asker

    twin.setattr(Correlator, "notified", notified)


def silence_for_an_empty_answer(twin: pytest.MonkeyPatch) -> None:
    real = GwsClient._attempt

    async def attempt(self: Any, epoch: Any, inquiry: Inquiry) -> Any:
        try:
            return await real(self, epoch, inquiry)
        except DeadlineExceeded:
            return payloads.EMPTY

    twin.setattr(GwsClient, "_attempt", attempt)


def error_for_an_empty_answer(twin: pytest.MonkeyPatch) -> None:
    real = wire._history

    def history(reference_id: Any, message_type: Any, error_message: Any, records: Any) -> Any:
        return real(reference_id, message_type, None, records)

    twin.setattr(wire, "_history", history)


def any_message_for_an_answer(twin: pytest.MonkeyPatch) -> None:
    real = wire._history

    def history(reference_id: Any, message_type: Any, error_message: Any, records: Any) -> Any:
        return real(reference_id, wire.HISTORY_MESSAGE, error_message, records)

    twin.setattr(wire, "_history", history)


def no_deadline(twin: pytest.MonkeyPatch) -> None:
    real = GwsClient.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        real(self, *args, **options | {"deadline": math.inf, "canary_interval": 1e9})

    twin.setattr(GwsClient, "__init__", init)


def archive_before_main(twin: pytest.MonkeyPatch) -> None:
    async def contact(self: Any, contact_id: str, ended: Any) -> None:
        for source in (Source.ARCHIVE, Source.MAIN):
            await self._settle(collect.HistoryRequest(contact_id, self._task.window, source))

    twin.setattr(Collector, "_contact", contact)


def an_attempt_for_an_epoch(twin: pytest.MonkeyPatch) -> None:
    async def uninterrupted(asker: Any, inquiry: Inquiry, patience: float) -> Any:
        try:
            return await asker.attempt(inquiry)
        except EpochLost as exc:
            raise ServerFault("the epoch was lost") from exc

    twin.setattr(collect, "uninterrupted", uninterrupted)


def an_attempt_for_a_refusal(twin: pytest.MonkeyPatch) -> None:
    real = GwsClient.attempt

    async def attempt(self: Any, inquiry: Inquiry) -> Any:
        try:
            return await real(self, inquiry)
        except Throttled as exc:
            raise ServerFault("refused") from exc

    twin.setattr(GwsClient, "attempt", attempt)


def early_answers_dropped(twin: pytest.MonkeyPatch) -> None:
    real = Correlator.accepted

    def accepted(self: Any, ticket: int, reference_id: str) -> Any:
        self._early.clear()
        return real(self, ticket, reference_id)

    twin.setattr(Correlator, "accepted", accepted)


def ids_of_a_lost_session_trusted(twin: pytest.MonkeyPatch) -> None:
    twin.setattr(
        ReferenceIds, "accepted", lambda self, epoch, inquiry, reference_id, is_doubtful: None
    )


def a_lost_reply_taken_for_no_request(twin: pytest.MonkeyPatch) -> None:
    real = ReferenceIds.accepted

    def accepted(self: Any, epoch: Any, inquiry: Any, reference_id: str, is_doubtful: bool) -> None:
        real(self, epoch, inquiry, reference_id)

    twin.setattr(ReferenceIds, "accepted", accepted)
    twin.setattr(ReferenceIds, "nameless", lambda self, epoch: None)


def no_bound_in_flight(twin: pytest.MonkeyPatch) -> None:
    real = GwsClient.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        real(self, *args, **options | {"in_flight": options["in_flight"] + 1})

    task = collect.Task.__init__

    def more(
        self: Any, window: Any, sources: Any, criteria: Any, concurrency: int, *rest: Any
    ) -> None:
        task(self, window, sources, criteria, concurrency + 1, *rest)

    twin.setattr(GwsClient, "__init__", init)
    twin.setattr(collect.Task, "__init__", more)


def a_place_given_away_too_early(twin: pytest.MonkeyPatch) -> None:
    async def quiet(self: Any, deadline: float) -> None: ...

    twin.setattr(Inquiry, "quiet", quiet)


def silence_unnoticed(twin: pytest.MonkeyPatch) -> None:
    async def listen(self: Any, epoch: Any) -> None:
        await asyncio.Event().wait()

    twin.setattr(channel.Listener, "listen", listen)


def the_unknown_for_the_gone(twin: pytest.MonkeyPatch) -> None:
    def failed(self: Any, outcome: Outcome) -> list[Outcome]:
        return [replace(outcome, state=RequestState.GONE)]

    twin.setattr(Verdicts, "errored", failed)


def failures_left_out_of_the_ledger(twin: pytest.MonkeyPatch) -> None:
    twin.setattr(Verdicts, "errored", lambda self, outcome: [])


def a_question_left_behind(twin: pytest.MonkeyPatch) -> None:
    twin.setattr(GwsClient, "forget", lambda self, inquiry: None)


@dataclass(frozen=True, slots=True)
class Twin:
    fault: Patch
    history: History
    seen_as: str


TWINS = [
    Twin(by_order, with_switches(reordered_share=0.3), "not its own"),
    Twin(silence_for_an_empty_answer, with_switches(lost_share=0.1), "are missing"),
    Twin(error_for_an_empty_answer, with_switches(error_share=0.3), "are missing"),
    Twin(any_message_for_an_answer, with_switches(other_type_share=0.3), "are missing"),
    Twin(no_deadline, with_switches(lost_share=0.1), "hangs"),
    Twin(archive_before_main, with_switches(archiver_per_request=3), "out of sight"),
    Twin(an_attempt_for_an_epoch, with_switches(cometd_session_requests=40), "spent 2 attempts"),
    Twin(an_attempt_for_a_refusal, with_switches(http_429_share=0.2), "spent 2 attempts"),
    Twin(early_answers_dropped, with_switches(early_share=0.3), "spent 2 attempts"),
    Twin(
        ids_of_a_lost_session_trusted,
        replace(CALM, seed=6, concurrency=16, contacts=40, switches=COUNTS_AGAIN),
        "are missing",
    ),
    Twin(a_lost_reply_taken_for_no_request, COUNTS_AGAIN_UNHEARD, "not its own"),
    Twin(no_bound_in_flight, CALM, "in flight, where 8 are allowed"),
    Twin(
        a_place_given_away_too_early,
        with_switches(late_share=0.3, late_seconds=20.1),
        "in flight, where 8 are allowed",
    ),
    Twin(the_unknown_for_the_gone, with_switches(failing_contact_share=0.1), "is gone"),
    Twin(failures_left_out_of_the_ledger, with_switches(failing_contact_share=0.1), "put down"),
    Twin(a_question_left_behind, with_switches(lost_share=0.2), "still open"),
]  # fmt: skip


@pytest.mark.parametrize("twin", mostly_slow(TWINS, quick=3), ids=lambda twin: twin.fault.__name__)
def test_the_judge_sees_it(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(judging.complaints(play(twin.history))) == []
    twin.fault(monkeypatch)
    told = list(judging.complaints(play(twin.history)))
    assert any(twin.seen_as in each for each in told), told[:5]


def test_a_mute_channel_costs_no_attempts_as_long_as_somebody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mute = replace(with_switches(mute_from=20, mute_seconds=50.0), deadline=45.0)
    assert {outcome.attempts for outcome in play(mute).collected.outcomes} == {1}
    silence_unnoticed(monkeypatch)
    assert max(outcome.attempts for outcome in play(mute).collected.outcomes) > 1
