"""One run over some days: attempt, windows, parts, day files.

Knows the order of things and nothing of how any of them is done.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, Protocol, TypeVar

import pyarrow as pa

from history_pipeline.contacts import activity
from history_pipeline.errors import ConfigurationError
from history_pipeline.gws import wire
from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.transport import AiohttpTransport
from history_pipeline.history.account import Account
from history_pipeline.history.collect import Collector, Task
from history_pipeline.history.flatten import Flattener
from history_pipeline.history.plan import windows
from history_pipeline.history.recording import Recorder
from history_pipeline.history.verdicts import Verdicts
from history_pipeline.history.zones import odd_zone
from history_pipeline.model import Outcome, RequestState, Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import (
    attempts,
    contact_list,
    forgotten,
    locks,
    parts,
    space,
    warehouse,
)
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.compaction import SourceAccount, compact
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.remaining import remaining

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Who wants to see how far it is."""

    def window(self, window: Window, planned: int, done: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...


class NoProgress:
    def window(self, window: Window, planned: int, done: int) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...


@dataclass(slots=True)
class Extraction:
    """What a run came to, window by window."""

    run_id: str
    windows: list[tuple[Window, list[SourceAccount]]] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    warnings: list[str] = field(default_factory=list)


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[GwsClient]:
    """A client with its channel open, for as long as the block runs. Call it with the extraction's
    lock held: what the server is asked, and how often, is bounded for all runs together."""
    async with (
        AiohttpTransport(settings) as transport,
        GwsClient(
            transport,
            notifications_path=settings.notifications_path,
            channel=settings.channel,
            deadline=settings.notification_timeout,
            canary_interval=settings.canary_interval,
            in_flight=settings.concurrency,
            # whoever held the lock before may have asked a moment ago
            pace=Pace(settings.requests_per_second, is_fresh=False),
        ) as client,
    ):
        yield client


async def open_attempt(
    settings: Settings, layout: Layout, days: Window, now: Callable[[], datetime] = utc_now
) -> Attempt:
    """The attempt at these days: an unfinished, equal and young one, or a new one. Call it with
    the extraction's lock held."""
    attempts.sweep(layout, now())
    print_ = attempts.fingerprint(settings)
    found = attempts.resumable(layout, days, print_, now(), settings.zone)
    if found is not None:
        log.info("going on with run %s", found.run_id)
        return found
    if settings.contact_source == "activity":
        async with connected(settings) as client:
            discovered = await activity.discover(
                client, days, settings.sources, settings.overlap_days, settings.max_attempts
            )
        contact_list.add_discovered(layout, discovered.contact_ids, now())
        for cut in discovered.cut:
            log.warning(
                "activity of %s (%s, %s) is listed in part only",
                cut.day,
                cut.source,
                cut.media_type,
            )
        return attempts.start(
            layout,
            days,
            print_,
            pa.array(discovered.contact_ids, pa.string()),
            now(),
            is_discovery_complete=not discovered.cut,
        )
    if not layout.contacts.exists():
        raise ConfigurationError("no contacts were listed yet; materialize `contacts` first")
    return attempts.start(layout, days, print_, contact_list.current_ids(layout), now())


def open_rest(
    settings: Settings, layout: Layout, days: Window, now: Callable[[], datetime] = utc_now
) -> Attempt | None:
    """An attempt at what is left to ask of these days, by what the warehouse knows; None where
    nothing is."""
    known = None if settings.contact_source == "activity" else contact_list.current_ids(layout)
    with warehouse.writing(layout, "looking for what is left to ask"):
        plan = remaining(layout, windows(days, settings.window_days), settings.sources, known)
    if not plan.num_rows:
        return None
    print_ = attempts.fingerprint(settings, only_rest=True)
    return attempts.start(layout, days, print_, plan["contact_id"].unique(), now(), plan=plan)


async def extract(
    settings: Settings,
    layout: Layout,
    days: Window,
    *,
    run_id: str | None = None,
    progress: Progress | None = None,
    now: Callable[[], datetime] = utc_now,
    wait: float = locks.DEADLINE,
) -> Extraction:
    """Asks for these days and puts them into the lake.

    With `run_id`, they are a part of that attempt, which its opener will finish; without, they
    are an attempt of their own. Raises LockTimeout where another run asks the server for `wait`
    seconds more.
    """
    async with locks.turn(layout.extraction_lock, f"extracting {days}", wait):
        attempt = attempts.by_id(layout, run_id) if run_id else None
        if attempt is None:
            attempt = await open_attempt(settings, layout, days, now)
        extraction = Extraction(attempt.run_id)
        due = [
            window
            for window in windows(attempt.days, settings.window_days)
            if window.start in days and not layout.window_ledger(attempt.run_id, window).exists()
        ]
        if due:
            await _extract_windows(settings, layout, attempt, due, extraction, progress, now)
        if run_id is None:
            attempts.finish(attempt)
        return extraction


async def _extract_windows(
    settings: Settings,
    layout: Layout,
    attempt: Attempt,
    due: list[Window],
    extraction: Extraction,
    progress: Progress | None,
    now: Callable[[], datetime],
) -> None:
    progress = progress or NoProgress()
    flattener = Flattener(settings.zone, forgotten.read(layout))
    verdicts = Verdicts()
    async with connected(settings) as client:
        for window in due:
            _warn(extraction, space.shortage(layout))
            directory = attempt.window_directory(window)
            settled = parts.settled(directory)
            if settled.num_rows:
                verdicts = _taught_by(settled)
            planned = attempt.planned(window, settings.sources)
            requests = planned.requests(len(settings.sources))
            progress.window(window, requests, settled.num_rows)
            async with Recorder(
                directory,
                flattener,
                run_at=attempt.started_micros,
                asked=settings.asked_attributes,
                now=now,
            ) as recorder:
                task = Task(
                    window,
                    settings.sources,
                    _criteria(settings),
                    settings.concurrency,
                    settings.max_attempts,
                )
                collector = Collector(client, recorder, verdicts, task, now, progress.outcome)
                account = await collector.collect(planned.contact_ids, settled, planned.exempt)
            accounts = await _to_its_end(
                compact, layout, attempt, window, settings.sources, _scope(settings), now()
            )
            extraction.windows.append((window, accounts))
            extraction.account = account
    _warn(extraction, odd_zone(flattener, settings.timezone))


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


def _taught_by(settled: pa.Table) -> Verdicts:
    """What an earlier, killed try at this window has already found out."""
    rows = Counter(zip(settled["source"].to_pylist(), settled["state"].to_pylist(), strict=True))
    answered, archive = RequestState.ANSWERED.value, Source.ARCHIVE.value
    return Verdicts(
        answered_before=any(state == answered for _, state in rows),
        mains_answered=rows[Source.MAIN.value, answered],
        archive_answered=(archive, answered) in rows,
        archive_unavailable=(archive, RequestState.UNAVAILABLE.value) in rows,
    )


def _criteria(settings: Settings) -> wire.Filter:
    return wire.Filter(
        settings.overlap_days,
        settings.media_type,
        settings.asked_attributes,
        tuple((settings.search_attributes or {}).items()),
    )


def _scope(settings: Settings) -> dict[str, object]:
    return {
        "contact_source": settings.contact_source,
        "is_whole": not settings.is_narrowed,
        "custom_attributes": json.dumps(list(settings.asked_attributes), ensure_ascii=False),
        "server_timezone": settings.timezone,
    }
