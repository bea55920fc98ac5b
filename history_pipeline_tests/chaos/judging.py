"""Whether a history ended as it must. Knows the world, and how each request has to end there;
uses none of the pipeline's own reading of answers.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from history_pipeline.errors import ServerUnusable
from history_pipeline.gws import wire
from history_pipeline.model import HistoryRequest, Outcome, RequestState, Source
from history_pipeline.simulator.world import World
from history_pipeline_tests.chaos.histories import ATTEMPTS
from history_pipeline_tests.chaos.network import identity
from history_pipeline_tests.chaos.playing import SOURCES, ZONE, Played, windows

_CHANNEL_HELD_UP = 150.0
"""Seconds at most: a poll of 30 s, 30 s more for its reply, a pause of 70 s, and a new session."""

Texts = dict[tuple[str, Source], list[tuple[date, str]]]
"""Of each contact and source: the local day and the text of each record."""


def complaints(played: Played) -> Iterator[str]:
    """Everything that is wrong; nothing, where the history ended as it must."""
    if played.hangs:
        yield f"hangs: not at its end after {played.seconds:.0f} s"
    if played.error is not None and not may_end(played):
        yield f"ended with {type(played.error).__name__}: {played.error}"
    yield from (f"left behind: {stray}" for stray in played.strays)
    yield from (f"nobody heard: {told}" for told in played.unheard)
    if played.most_in_flight > played.history.concurrency:
        yield f"{played.most_in_flight} in flight, where {played.history.concurrency} are allowed"
    yield from _accounts(played)
    for outcome in played.collected.outcomes:
        yield from ended_wrongly(played, outcome)
    for request, answers in played.collected.answers.items():
        if len(answers) > 1:
            yield f"{request}: {len(answers)} answers were put down"
        yield from (f"{request}: {told}" for told in _wrong_answer(played, request, answers[0]))
    yield from _moved(played)


def verified_empty(played: Played) -> int:
    """Answers without a record; each was checked against the world."""
    return sum(not answers[0] for answers in played.collected.answers.values())


# -- the ledger ------------------------------------------------------------------------------------


def _accounts(played: Played) -> Iterator[str]:
    seen = Counter(outcome.request for outcome in played.collected.outcomes)
    yield from (f"{request} ended {n} times" for request, n in seen.items() if n > 1)
    answered = {
        outcome.request
        for outcome in played.collected.outcomes
        if outcome.state is RequestState.ANSWERED
    }
    if answered != set(played.collected.answers):
        yield "what is put down as answered is not what was answered"
    if played.error is not None or played.hangs:
        return
    planned = {
        HistoryRequest(contact.contact_id, window, source)
        for contact in played.world.contacts()
        for window in windows(played.history)
        for source in SOURCES
    }
    yield from (f"{request} was never put down" for request in planned - set(seen))
    yield from (f"{request} was not planned" for request in set(seen) - planned)
    for account in played.accounts:
        if sum(account.states.values()) != account.planned:
            yield f"{account.planned} were planned, {dict(account.states)} are accounted for"


def planned(played: Played) -> int:
    """Requests of one run."""
    return played.history.contacts * played.history.windows * len(SOURCES)


def may_end(played: Played) -> bool:
    """Where the server knows none of the contacts, the run must end."""
    contacts = [contact.contact_id for contact in played.world.contacts()]
    known = any(played.faults.contact_known(contact_id) for contact_id in contacts[:20])
    return not known and isinstance(played.error, ServerUnusable)


def ended_wrongly(played: Played, outcome: Outcome) -> Iterator[str]:
    request, state = outcome.request, outcome.state
    allowed = _states(played, request)
    alone = played.spent.alone[_identity(played, request)]
    if state is RequestState.FAILED and allowed == {RequestState.ANSWERED}:
        # it may fail where its attempts were spent, one by one, by what befell it
        if outcome.attempts < ATTEMPTS and outcome.error != "main: not answered":
            yield f"{request} failed ({outcome.error}) after {outcome.attempts} attempts"
    elif state not in allowed:
        yield f"{request} is {state.value}; it must be {' or '.join(sorted(allowed))}"
    # while the channel is held up, one deadline after the other can pass
    together = played.spent.all * (1 + int(_CHANNEL_HELD_UP / played.history.deadline))
    if outcome.attempts > 1 + alone + together:
        yield f"{request} spent {outcome.attempts} attempts on {alone}+{played.spent.all} faults"


def _states(played: Played, request: HistoryRequest) -> set[RequestState]:
    faults = played.faults
    if not faults.contact_known(request.contact_id):
        # while nobody was answered, nothing shows that it is gone
        return {RequestState.GONE, RequestState.FAILED}
    if faults.always_fails(request.contact_id):
        return {RequestState.FAILED}
    if request.source is Source.ARCHIVE and not played.behaviour.archive:
        return {RequestState.UNAVAILABLE, RequestState.FAILED}
    return {RequestState.ANSWERED}


def _identity(played: Played, request: HistoryRequest) -> int:
    body = wire.history_body(request.window, request.source, played.criteria)
    return identity(wire.history_path(request.contact_id), body)


# -- the answers -----------------------------------------------------------------------------------


def _wrong_answer(played: Played, request: HistoryRequest, records: list[Any]) -> Iterator[str]:
    """An answer holds all that the world holds in its window, once, and nothing of anybody else."""
    got = Counter(_text(json.loads(bytes(record), strict=False)) for record in records)
    moves = bool(played.behaviour.archiver_per_request)
    sources = SOURCES if moves else (request.source,)
    held = [row for source in sources for row in _held(played)[request.contact_id, source]]
    has = Counter(text for _, text in held)
    if strange := got - has:
        yield f"{sum(strange.values())} records that are not its own, or come twice"
    if not moves:
        due = Counter(text for day, text in held if day in request.window)
        if missing := due - got:
            yield f"{sum(missing.values())} of {sum(due.values())} records are missing"


def _moved(played: Played) -> Iterator[str]:
    """With an archiver at work: both answers together hold what both sources held."""
    if not played.behaviour.archiver_per_request:
        return
    answers = played.collected.answers
    for request in answers:
        both = [HistoryRequest(request.contact_id, request.window, source) for source in SOURCES]
        if request.source is Source.MAIN or not all(each in answers for each in both):
            continue
        got = {
            _text(json.loads(bytes(record), strict=False))
            for each in both
            for record in answers[each][0]
        }
        due = {
            text
            for source in SOURCES
            for day, text in _held(played)[request.contact_id, source]
            if day in request.window
        }
        if missing := due - got:
            yield f"{request}: {len(missing)} of {len(due)} were moved out of sight"


def _held(played: Played) -> Texts:
    return _texts(played.world)


@lru_cache(maxsize=64)
def _texts(held_by: World) -> Texts:
    zone = ZoneInfo(ZONE)
    found: Texts = defaultdict(list)
    for contact in held_by.contacts():
        for source in SOURCES:
            for record in held_by.records(contact.contact_id, source.value):
                day = record.started_at.astimezone(zone).date()
                found[contact.contact_id, source].append((day, _text(record.payload)))
    return found


def _text(record: Any) -> str:
    """One writing for each record; custom attributes come only where they are asked for."""
    if isinstance(record, dict):
        record = {name: value for name, value in record.items() if name != "customAttributes"}
    return json.dumps(record, sort_keys=True)
