"""One run over some days: attempt, windows, parts, day files.

Knows the order of things and nothing of how any of them is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import pyarrow as pa

from history_pipeline.gws import wire
from history_pipeline.gws.connecting import connected
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.gws.limiting import Limits
from history_pipeline.history.account import Account
from history_pipeline.history.asking_again import AskedAgain, ask_again, is_latest
from history_pipeline.history.collect import Collector, Task
from history_pipeline.history.flatten import Flattener
from history_pipeline.history.opening import open_attempt, utc_now
from history_pipeline.history.plan import windows
from history_pipeline.history.recording import Recorder
from history_pipeline.history.scrutiny import Findings, Scrutiny
from history_pipeline.history.verdicts import Verdicts
from history_pipeline.history.zones import odd_zone
from history_pipeline.model import Outcome, RequestState, Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts, forgotten, locks, parts, runs, space
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.compaction import Intake, SourceAccount, compact
from history_pipeline.storage.layout import Layout

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)

_OBJECTS_BEFORE_A_LOOK = 50_000
"""Some megabytes, where Python's own are 700."""


class Progress(Protocol):
    """Who wants to see how far it is."""

    def window(self, window: Window, planned: int, done: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...


class NoProgress:
    def window(self, window: Window, planned: int, done: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...


@dataclass(slots=True)
class Extraction:
    """What a run came to, window by window. `again` is what it asked beside them."""

    run_id: str
    windows: list[tuple[Window, list[SourceAccount]]] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    warnings: list[str] = field(default_factory=list)
    limits: Limits | None = None
    """On requests in flight; None where nothing was asked."""
    findings: Findings = field(default_factory=Findings)
    again: AskedAgain | None = None

    def note(self, findings: Findings) -> None:
        """What the scrutiny of a window's answers has found."""
        self.findings.parted += findings.parted
        self.findings.audited += findings.audited
        self.findings.disagreed += findings.disagreed
        if findings.disagreed:
            findings.warnings.append(
                f"audit: {findings.disagreed} of {findings.audited} requests had more in their "
                "answers when they were asked the other way round; they were asked in parts"
            )
        for warning in findings.warnings:
            log.warning(warning)
            self.warnings.append(warning)


async def extract(
    settings: Settings,
    layout: Layout,
    days: Window,
    *,
    run_id: str | None = None,
    progress: Progress | None = None,
    now: Callable[[], datetime] = utc_now,
    patience: float = PATIENCE,
    wait: float = locks.DEADLINE,
) -> Extraction:
    """Asks for these days and puts them into the lake.

    With `run_id`, they are a part of that attempt, which its opener will finish; without, they
    are an attempt of their own. Where they end with yesterday, interactions of earlier days that
    were open are asked again. `patience` is how many seconds the server may be unusable. Raises
    LockTimeout where another run asks the server for `wait` seconds more.
    """
    async with locks.turn(layout.extraction_lock, f"extracting {days}", wait):
        attempt = attempts.by_id(layout, run_id) if run_id else None
        if attempt is None:
            attempt = await open_attempt(settings, layout, days, now, patience)
        extraction = Extraction(attempt.run_id)
        due = [
            window
            for window in windows(attempt.days, settings.window_days)
            if window.start in days and not layout.window_ledger(attempt.run_id, window).exists()
        ]
        if due:
            await _extract_windows(
                settings, layout, attempt, due, extraction, progress, now, patience
            )
        if is_latest(settings, attempt, days):
            # before it is finished: after a kill the days need not be asked anew
            await _ask_again(settings, layout, attempt, days, extraction, now, patience)
        if run_id is None:
            attempts.finish(attempt)
        return extraction


async def _ask_again(
    settings: Settings,
    layout: Layout,
    run: Attempt,
    days: Window,
    extraction: Extraction,
    now: Callable[[], datetime],
    patience: float,
) -> None:
    async def ask(again: Attempt, due: list[Window], wanted: pa.Array) -> None:
        if due:
            beside = Beside(run, wanted)
            apart = Extraction(again.run_id)
            await _extract_windows(settings, layout, again, due, apart, None, now, patience, beside)
            extraction.warnings += apart.warnings

    extraction.again = await ask_again(settings, layout, run, days, now, ask)


@dataclass(frozen=True, slots=True)
class Beside:
    """What makes an attempt one beside another run: that one has found out which contacts and
    sources the server knows, and of the answers only these interactions are kept."""

    run: Attempt
    wanted: pa.Array


async def _extract_windows(
    settings: Settings,
    layout: Layout,
    attempt: Attempt,
    due: list[Window],
    extraction: Extraction,
    progress: Progress | None,
    now: Callable[[], datetime],
    patience: float,
    beside: Beside | None = None,
) -> None:
    progress = progress or NoProgress()
    flattener = Flattener(settings.zone, forgotten.read(layout))
    verdicts = _found_out(layout, attempt, *([beside.run] if beside else []))
    # audits are requests more: those beside a run have a bound of their own
    scrutiny = Scrutiny(0.0 if beside else settings.audit_share, attempt.run_id)
    async with connected(settings, patience) as client:
        for window in due:
            _warn(extraction, space.shortage(layout))
            directory = attempt.window_directory(window)
            settled = parts.settled(directory)
            verdicts.learn(_settled(settled))
            planned = attempt.planned(window, settings.sources)
            requests = planned.requests(len(settings.sources))
            progress.window(window, requests, settled.num_rows)
            with Intake(layout, attempt, window) as intake:
                async with Recorder(
                    directory,
                    flattener,
                    run_at=attempt.started_micros,
                    asked=settings.asked_attributes,
                    now=now,
                    on_part=intake.take,
                    only=beside.wanted if beside else None,
                ) as recorder:
                    task = Task(
                        window,
                        settings.sources,
                        _criteria(settings),
                        settings.concurrency,
                        settings.max_attempts,
                        patience,
                    )
                    collector = Collector(
                        client, recorder, verdicts, task, now, progress.outcome, scrutiny
                    )
                    with _cycles_seldom_looked_for():
                        account = await collector.collect(
                            planned.contact_ids, settled, planned.exempt, _taken(directory)
                        )
                scope = _scope(settings, is_again=beside is not None)
                accounts = await _to_its_end(
                    compact, layout, attempt, window, settings.sources, scope, now(), intake
                )
            extraction.windows.append((window, accounts))
            extraction.account = account
            extraction.note(account.findings)
        extraction.limits = client.limits
    log.info("limit of requests in flight: %s", extraction.limits)
    _warn(extraction, odd_zone(flattener, settings.timezone))


@contextlib.contextmanager
def _cycles_seldom_looked_for() -> Iterator[None]:
    """What is in flight and what waits for its part are many objects that live for a while: Python
    would look through them for cycles with every few answers."""
    usual = gc.get_threshold()
    gc.set_threshold(_OBJECTS_BEFORE_A_LOOK, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _warn(extraction: Extraction, warning: str | None) -> None:
    if warning:
        log.warning(warning)
        extraction.warnings.append(warning)


async def _to_its_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs it in a thread, where it does not hold up the heartbeat. Nobody may go on, or give the
    locks away, while it writes: a cancellation is passed on when it has ended."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        running.exception()  # the cancellation goes first; nobody else asks for it
        raise


def _found_out(layout: Layout, *attempts_: Attempt) -> Verdicts:
    """What finished windows of these runs have told: each may be a process of its own."""
    verdicts = Verdicts()
    for attempt in attempts_:
        for account in runs.accounts(layout, attempt.run_id):
            verdicts.learn({(account.source, state): n for state, n in account.states.items()})
    return verdicts


def _settled(rows: pa.Table) -> Counter[tuple[Source, RequestState]]:
    """What an earlier, killed try at a window has put down."""
    counts = rows.group_by(["source", "state"]).aggregate([([], "count_all")]).to_pylist()
    return Counter(
        {
            (Source(each["source"]), RequestState(each["state"])): each["count_all"]
            for each in counts
        }
    )


def _taken(directory: Path) -> Iterator[tuple[Source, str, int]]:
    """Answers that a killed try at a window has taken as they came, with their lengths."""
    rows = parts.taken(directory)
    for contact_id, source, received in zip(*(each.to_pylist() for each in rows), strict=True):
        yield Source(source), contact_id, received


def _criteria(settings: Settings) -> wire.Filter:
    return wire.Filter(
        settings.overlap_days,
        settings.media_type,
        settings.asked_attributes,
        tuple((settings.search_attributes or {}).items()),
    )


def _scope(settings: Settings, *, is_again: bool) -> dict[str, object]:
    return {
        **({"is_again": True} if is_again else {}),
        "contact_source": settings.contact_source,
        "is_whole": not settings.is_narrowed,
        "custom_attributes": json.dumps(list(settings.asked_attributes), ensure_ascii=False),
        "server_timezone": settings.timezone,
    }
