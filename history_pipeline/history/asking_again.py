"""Asks again for what was open when it was last seen, beside a run over the latest days.

Knows the order of things: look up, choose, freeze as an attempt of its own, have it asked, count.
Does not know when anything is due (`open_again`) nor how a window is asked.

Of the answers only what was asked about is kept. The rest belongs to days that nobody has asked
of everybody, or that would be written anew for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from history_pipeline.errors import LockTimeout
from history_pipeline.history.open_again import Chosen, budget, choose, tile
from history_pipeline.history.plan import windows
from history_pipeline.model import RequestState, Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts, locks, open_interactions, runs
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import PLAN

log = logging.getLogger(__name__)

AskWindows = Callable[[Attempt, list[Window], pa.Array], Awaitable[None]]
"""Asks these windows of an attempt and puts into the lake what it brings of these interactions."""


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """What was open and what became of it. `due` interactions had come to a place in their
    schedule, `left` of these wait for the next run; both are None where a killed run was gone on
    with. `asked_about` includes those that share a request, `closed` have ended."""

    run_id: str | None
    requests: int
    failed: int
    asked_about: int
    closed: int
    due: int | None
    left: int | None


def is_latest(settings: Settings, attempt: Attempt, days: Window) -> bool:
    """Whether these days end with the day before the run's, and all of them is asked: a rerun of
    old days, or of what others left over, asks for nothing else."""
    today = attempt.started_at.astimezone(settings.zone).date()
    return days.end == today and not attempt.plan.exists()


async def ask_again(
    settings: Settings,
    layout: Layout,
    run: Attempt,
    days: Window,
    now: Callable[[], datetime],
    ask: AskWindows,
) -> AskedAgain | None:
    """Asks for what was open before `days`, beside the unfinished `run` over them: after a kill it
    goes on with what was chosen then. None where it cannot look, or main is not asked at all. Call
    it with the extraction's lock held."""
    if Source.MAIN not in settings.sources:
        return None
    print_ = attempts.fingerprint(settings, again_after=run.run_id)
    again = attempts.beside(layout, print_)
    chosen = None
    try:
        async with locks.turn(layout.warehouse_lock, "looking for what is open", locks.patience()):
            if not layout.warehouse.exists():
                return None
            if again is None:
                chosen = _choose(settings, layout, run, days, now())
                if not chosen.asks:
                    return AskedAgain(None, 0, 0, 0, 0, chosen.due, chosen.left)
                again = _start(settings, layout, days, chosen, print_, now())
            if again.is_finished:
                return None
            plan = again.plan_rows()
            wanted = open_interactions.ids_of(layout, plan, settings.window_days)
    except LockTimeout as exc:
        log.warning("what was open is left to the next run: %s", exc)
        return None
    log.info("asking again for %s open interactions: %s requests", len(wanted), plan.num_rows)
    asked = [
        window
        for window in windows(again.days, settings.window_days)
        if window.start in set(plan["window_start"].to_pylist())
    ]
    due = [each for each in asked if not layout.window_ledger(again.run_id, each).exists()]
    await ask(again, due, wanted)
    told = _told(layout, again, wanted, asked, chosen)
    attempts.finish(again)
    return told


def _choose(
    settings: Settings, layout: Layout, run: Attempt, days: Window, now: datetime
) -> Chosen:
    planned = sum(account.planned for account in runs.accounts(layout, run.run_id))
    opens = open_interactions.opened_before(
        layout, days.start, has_archive=Source.ARCHIVE in settings.sources
    )
    return choose(opens, now, settings.window_days, budget(planned))


def _start(
    settings: Settings, layout: Layout, days: Window, chosen: Chosen, print_: str, now: datetime
) -> Attempt:
    columns = {
        "contact_id": [ask.contact_id for ask in chosen.asks],
        "window_start": [ask.window_start for ask in chosen.asks],
        "source": [ask.source.value for ask in chosen.asks],
    }
    plan = pa.table(columns, schema=PLAN)
    first = min(ask.window_start for ask in chosen.asks)
    return attempts.start(
        layout,
        Window(tile(first, settings.window_days).start, days.start),
        print_,
        plan["contact_id"].unique(),
        now,
        is_discovery_complete=False,
        plan=plan,
    )


def _told(
    layout: Layout, again: Attempt, wanted: pa.Array, asked: list[Window], chosen: Chosen | None
) -> AskedAgain:
    accounts = runs.accounts(layout, again.run_id)
    return AskedAgain(
        again.run_id,
        sum(account.planned for account in accounts),
        sum(account.states[RequestState.FAILED] for account in accounts),
        len(wanted),
        open_interactions.ended_of(layout, wanted, (day for window in asked for day in window)),
        chosen.due if chosen else None,
        chosen.left if chosen else None,
    )
