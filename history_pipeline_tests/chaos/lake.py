"""The same histories through all of it: attempts and parts on disk, the lake's day files, DuckDB.

A run can be stopped in order and run again, and one that ends with the server is run again too, as
its operator would. What is compared is the warehouse, value by value, with what was answered.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from unittest.mock import patch
from zoneinfo import ZoneInfo

from history_pipeline.contacts import reading
from history_pipeline.errors import PipelineError, ServerUnusable
from history_pipeline.gws import connecting, wire
from history_pipeline.history.extraction import extract
from history_pipeline.model import HistoryRequest, Outcome, RequestState, Source, Window
from history_pipeline.settings import Settings
from history_pipeline.simulator.server import RunningSimulator, Simulator
from history_pipeline.storage import warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.chaos import judging
from history_pipeline_tests.chaos.histories import ATTEMPTS, DAYS_OF_A_WINDOW, History, drawn
from history_pipeline_tests.chaos.network import Spent
from history_pipeline_tests.chaos.playing import (
    FIRST_DAY,
    LONGEST,
    ZONE,
    Clock,
    Played,
    behaviour,
    connected,
    silence,
    strays,
    windows,
    world,
)
from history_pipeline_tests.chaos.watching import WatchedFaults
from history_pipeline_tests.end_to_end import oracle
from history_pipeline_tests.end_to_end.running import environment, open_layout, settings_of
from history_pipeline_tests.end_to_end.test_world import ASKED, check_row, fetch, records, values
from history_pipeline_tests.virtual_time import DeterministicLoop

_RUNS = 8
"""Runs at most until one comes to its end."""

_MOVED = {"source", "seen_in_main", "seen_in_archive"}
"""Columns that depend on how far the archiver was."""


def drawn_for_the_lake(seed: int) -> History:
    """A smaller one, whose runs may be stopped."""
    draw, history = Random(-seed - 1), drawn(seed)
    stops = tuple(draw.uniform(0.1, 6.0) for _ in range(draw.choice((0, 0, 1, 2))))
    return replace(history, contacts=min(history.contacts, 20), stops=stops)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a history, and everything that is wrong with it at the end."""

    played: Played
    complaints: tuple[str, ...]
    empty: int = 0
    """Answers without a record."""


def complaints(history: History) -> list[str]:
    return list(judged(history).complaints)


def judged(history: History) -> Judged:
    with silence(), tempfile.TemporaryDirectory() as name:
        settings = _settings(history, Path(name))
        layout = open_layout(settings)
        clock = Clock()
        played = _prepared(history, settings, clock)
        with asyncio.Runner(loop_factory=DeterministicLoop) as runner:
            loop = runner.get_loop()
            assert isinstance(loop, DeterministicLoop)
            clock.loop = loop
            runner.run(_play(played, clock, settings, layout))
        found = tuple(_complaints(played, layout, clock))
        return Judged(played, found, _empty(layout) if played.error is None else 0)


def _complaints(played: Played, layout: Layout, clock: Clock) -> Iterator[str]:
    if played.error is not None:
        if not judging.may_end(played):
            yield f"ended with {type(played.error).__name__}: {played.error}"
        return
    warehouse.load(layout, clock.now())
    yield from (f"left behind: {stray}" for stray in played.strays)
    yield from _ledger(played, layout)
    yield from _content(played, layout)


def _settings(history: History, root: Path) -> Settings:
    listed = root / "contacts.csv"
    ids = [contact.contact_id for contact in world(history.seed, history.contacts).contacts()]
    listed.write_text("\n".join(["contact_id", *ids]) + "\n", encoding="utf-8")
    return settings_of(
        environment(
            "http://gws.invalid",
            root / "data",
            ZONE,
            HISTORY_CONTACTS=f"file:{listed}",
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
            HISTORY_WINDOW_DAYS=str(DAYS_OF_A_WINDOW),
            GWS_CONCURRENCY=str(history.concurrency),
            GWS_REQUESTS_PER_SECOND=str(history.per_second),
            GWS_NOTIFICATION_TIMEOUT=str(history.deadline),
            GWS_CANARY_INTERVAL=str(history.canary),
            GWS_MAX_ATTEMPTS=str(ATTEMPTS),
        )
    )


def _prepared(history: History, settings: Settings, clock: Clock) -> Played:
    spent = Spent()
    how = behaviour(history)
    faults = WatchedFaults(how, spent, history.deadline, clock=clock.time, wall=clock.wall)
    criteria = wire.Filter(settings.overlap_days, None, settings.asked_attributes, ())
    return Played(
        history, world(history.seed, history.contacts), how, faults, spent, criteria=criteria
    )


async def _play(played: Played, clock: Clock, settings: Settings, layout: Layout) -> None:
    simulator = Simulator(
        played.world,
        played.behaviour,
        faults=played.faults,
        clock=clock.time,
        today=lambda: FIRST_DAY + timedelta(days=30),
    )
    reading.read(settings, layout, clock.now())
    async with simulator.without_a_socket() as server:
        began = clock.time()
        stops = [*played.history.stops, *([LONGEST] * _RUNS)]
        for number, stop in enumerate(stops[:_RUNS]):
            played.error = await _run(played, server, clock, settings, layout, stop, number)
            played.seconds = clock.time() - began
            played.happened = dict(server.stats.faults)
            if played.error is None and stop == LONGEST:
                return


async def _run(
    played: Played,
    server: RunningSimulator,
    clock: Clock,
    settings: Settings,
    layout: Layout,
    stop: float,
    number: int,
) -> PipelineError | None:
    """One run, stopped after so many seconds; moments happen in the first one."""
    history = replace(played.history, moments=played.history.moments if number == 0 else ())
    days = Window(windows(history)[0].start, windows(history)[-1].end)
    async with connected(history, server, clock, played.spent) as network:
        with patch.object(connecting, "AiohttpTransport", lambda settings: network):
            run = asyncio.create_task(extract(settings, layout, days, now=clock.now))
            await asyncio.wait({run}, timeout=stop)
            run.cancel()
            await asyncio.wait({run})
        played.most_in_flight = max(played.most_in_flight, network.flight.most)
        played.strays += strays(network)
    if run.cancelled():
        return None if stop < LONGEST else ServerUnusable("hangs")
    exc = run.exception()
    if exc is not None and not isinstance(exc, PipelineError):
        raise exc
    return exc


# -- what the warehouse says -----------------------------------------------------------------------

_REQUESTS = (
    "select contact_id, window_start, window_end, source, state, attempts, error, finished_at "
    "from raw_gws.requests"
)
_EMPTY = (
    "select count(*) from raw_gws.requests "
    "where state = 'answered' and interactions = 0 and rejects = 0"
)


def _outcomes(layout: Layout) -> list[Outcome]:
    return [
        Outcome(
            HistoryRequest(contact_id, Window(start, end), Source(source)),
            RequestState(state),
            finished_at,
            attempts=attempts,
            error=error,
        )
        for (
            contact_id,
            start,
            end,
            source,
            state,
            attempts,
            error,
            finished_at,
        ) in fetch(layout, _REQUESTS)
    ]


def _empty(layout: Layout) -> int:
    ((found,),) = fetch(layout, _EMPTY)
    return int(found)


def _ledger(played: Played, layout: Layout) -> Iterator[str]:
    outcomes = _outcomes(layout)
    played.collected.outcomes = outcomes
    runs = len(fetch(layout, "select distinct run_id from raw_gws.requests"))
    if len(outcomes) != runs * judging.planned(played):
        yield f"{len(outcomes)} requests in the ledger, {judging.planned(played)} planned a run"
    for outcome in outcomes:
        yield from judging.ended_wrongly(played, outcome)
    if played.most_in_flight > played.history.concurrency:
        yield f"{played.most_in_flight} in flight, where {played.history.concurrency} are allowed"


def _content(played: Played, layout: Layout) -> Iterator[str]:
    """Every interaction that an answer held is there once, with its values, and nothing else is."""
    zone, due = ZoneInfo(ZONE), _due(played)
    held = {row["interaction_id"]: row for row in records(layout, "raw_gws.interactions")}
    if len(held) != fetch(layout, "select count(*) from raw_gws.interactions")[0][0]:
        yield "an interaction has two rows"
    if missing := due.keys() - held.keys():
        yield f"{len(missing)} of {len(due)} interactions are missing"
    if strange := held.keys() - due.keys():
        yield f"{len(strange)} interactions are nobody's"
    attributes: dict[str, dict[str, tuple[str, str]]] = {}
    for row in records(layout, "raw_gws.interaction_attributes"):
        named = attributes.setdefault(row["interaction_id"], {})
        if row["name"] in named:
            yield f"{row['interaction_id']} has an attribute twice"
        named[row["name"]] = (row["value"], row["value_type"])
    moves = bool(played.behaviour.archiver_per_request)
    for interaction_id in due.keys() & held.keys():
        wanted = oracle.row(due[interaction_id], zone)
        if moves:
            wanted = {name: value for name, value in wanted.items() if name not in _MOVED}
        try:
            check_row(held[interaction_id], wanted)
            found = values(attributes.pop(interaction_id, {}))
            assert found == values(oracle.attributes(due[interaction_id], ASKED))
        except AssertionError as exc:
            yield f"{interaction_id} has a wrong value: {str(exc)[:200]}"


def _due(played: Played) -> dict[str, list[oracle.Copy]]:
    """The copies in the answers that were had, by interaction id."""
    zone, days = ZoneInfo(ZONE), windows(played.history)
    answered = {
        (outcome.request.contact_id, outcome.request.window, outcome.request.source.value)
        for outcome in played.collected.outcomes
        if outcome.state is RequestState.ANSWERED
    }
    moves = bool(played.behaviour.archiver_per_request)
    due: dict[str, list[oracle.Copy]] = {}
    for window in days:
        both = oracle.copies(played.world, zone, window.start, window.end, ("main", "archive"))
        for interaction_id, copies in both.items():
            had = [
                copy
                for copy in copies
                if (copy.requested, window, copy.source) in answered
                # what has been moved by now was answered by the other source
                or (moves and (copy.requested, window, "archive") in answered)
            ]
            if had:
                due.setdefault(interaction_id, []).extend(had)
    return due
