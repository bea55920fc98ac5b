"""`backfill`: the whole pipeline for some days, window by window, as Dagster runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console

from history_pipeline import logs
from history_pipeline import settings as settings_module
from history_pipeline.cli import stopping
from history_pipeline.cli.display import CollectionProgress, log_console, quiet
from history_pipeline.cli.exits import Exit
from history_pipeline.contacts import reading
from history_pipeline.contacts.directory import get_json, open_session
from history_pipeline.defs import dbt_ahead
from history_pipeline.errors import ConfigurationError
from history_pipeline.gws import wire
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.history import opening
from history_pipeline.history.plan import windows
from history_pipeline.history.running import run
from history_pipeline.imports import loading
from history_pipeline.model import RequestState, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import (
    attempts,
    certificates,
    identity,
    locks,
    publishing,
    runs,
    space,
    warehouse,
)
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.layout import Layout

if TYPE_CHECKING:
    from history_pipeline.defs.launching import Launcher


def run_backfill(
    from_day: date,
    to_day: date,
    console: Console | None = None,
    *,
    only_failed: bool = False,
    patience: float = PATIENCE,
) -> int:
    """Returns the exit status; raises PipelineError for all but failed requests. `patience` is
    how many seconds the server may be unusable."""
    console = console or log_console()
    settings = settings_module.load()
    days = check_days(settings, from_day, to_day, datetime.now(UTC))
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    publishing.check_target(layout)
    preflight(settings)
    with dbt_ahead.begun(layout):
        attempt = _backfill(settings, layout, days, console, only_failed, patience)
    if attempt is None:
        console.print(f"nothing is left to ask of {days}: every request is answered")
        return Exit.COMPLETE
    return report(layout, attempt, console)


def preflight(settings: Settings) -> None:
    """Login, and the head of a contacts file: what is wrong with these shows within a second,
    before Dagster and dbt are even imported."""
    file = reading.listed_file(settings)
    if file is not None:
        next(file.pages(), None)
    with open_session(settings) as session:
        get_json(session, settings.url + wire.ME_PATH, wire.ME_PATH)


def check_days(settings: Settings, from_day: date, to_day: date, now: datetime) -> Window:
    """The days as a window. Raises ConfigurationError where they cannot be asked for."""
    yesterday = now.astimezone(settings.zone).date() - timedelta(days=1)
    if from_day > to_day:
        raise ConfigurationError(f"--from {from_day} is after --to {to_day}; swap them")
    if to_day > yesterday:
        raise ConfigurationError(
            f"--to {to_day} has not ended in {settings.timezone}; the last day to ask for is "
            f"{yesterday}"
        )
    if from_day < settings.start_date:
        raise ConfigurationError(
            f"--from {from_day} is before HISTORY_START_DATE {settings.start_date}; set that "
            "earlier first"
        )
    return Window(from_day, to_day + timedelta(days=1))


def _backfill(
    settings: Settings,
    layout: Layout,
    days: Window,
    console: Console,
    only_failed: bool,
    patience: float,
) -> Attempt | None:
    """None where nothing is left to ask."""
    with loading():
        from history_pipeline.defs import home

    prepared = home.prepare(layout)
    if prepared == layout.dagster_home:
        home.sweep(prepared, time.time())
    shortage = space.shortage(layout)
    if shortage:
        console.print(shortage, style="bold red")
    with quiet(), CollectionProgress(console) as progress:
        with loading():
            from history_pipeline.defs.launching import Launcher

        launcher = Launcher(progress, patience)
        with _own_attempt(
            settings, layout, days, launcher, console, only_failed, patience
        ) as attempt:
            if attempt is None:
                return None
            logs.name_run(attempt.run_id)
            console.print(f"run {attempt.run_id}: {attempt.contacts} contacts, {days}")
            _ask_window_by_window(settings, layout, attempt, launcher)
            finished = attempts.finish(attempt)
        _draw(launcher, console)
        return finished


def _draw(launcher: Launcher, console: Console) -> None:
    """All is published by now: pictures that cannot be drawn make no run fail."""
    try:
        launcher.report()
    except Exception as exc:  # noqa: BLE001 - whatever it is, the next report tries again
        console.print(
            f"the charts could not be drawn ({type(exc).__name__}); `history-pipeline report` "
            "tries again",
            style="bold red",
            soft_wrap=True,
        )


@contextmanager
def _own_attempt(
    settings: Settings,
    layout: Layout,
    days: Window,
    launcher: Launcher,
    console: Console,
    only_failed: bool,
    patience: float,
) -> Iterator[Attempt | None]:
    """The attempt to work on, a new one or one that nobody has finished; for the block, no other
    process goes on with it. None where nothing is left to ask.

    Two that begin at once meet at the extraction's lock, so they do not both find none.
    """
    is_listed = False
    with ExitStack() as owned:
        while True:
            print_ = attempts.fingerprint(settings, only_rest=only_failed)
            if _known(settings, layout, days, print_) is None:
                launcher.refresh_contacts()
                is_listed = True
                if only_failed:
                    warehouse.load(layout, opening.utc_now())
            with locks.exclusive(layout.extraction_lock, f"beginning {days}", locks.DEADLINE):
                attempt = _known(settings, layout, days, print_)
                if attempt is not None:
                    console.print(f"going on with run {attempt.run_id}, which did not finish")
                elif not is_listed:
                    continue  # somebody has finished it meanwhile
                else:
                    attempt = _new_attempt(settings, layout, days, only_failed, patience)
                if attempt is not None:
                    owned.enter_context(attempts.at_work(attempt))
            yield attempt
            return


def _known(settings: Settings, layout: Layout, days: Window, print_: str) -> Attempt | None:
    return attempts.known(layout, days, print_, opening.utc_now(), settings.zone)


def _asks(attempt: Attempt, window: Window, settings: Settings) -> bool:
    return len(attempt.planned(window, settings.sources).contact_ids) > 0


def _finds_none(settings: Settings, attempt: Attempt) -> bool:
    """That a whole discovery found nobody in a window is worth putting down."""
    return settings.contact_source == "activity" and attempt.is_discovery_complete


def _new_attempt(
    settings: Settings, layout: Layout, days: Window, only_failed: bool, patience: float
) -> Attempt | None:
    if only_failed:
        return run(opening.open_rest(settings, layout, days, patience=patience))
    return run(opening.open_attempt(settings, layout, days, patience=patience))


def _ask_window_by_window(
    settings: Settings, layout: Layout, attempt: Attempt, launcher: Launcher
) -> None:
    """Between two windows the server is left to whoever waits for it."""
    due = [
        window
        for window in windows(attempt.days, settings.window_days)
        if not layout.window_ledger(attempt.run_id, window).exists()
        and (_finds_none(settings, attempt) or _asks(attempt, window, settings))
    ]
    for window in due:
        # a signal that comes between two steps is Dagster's, which forgets it with the last one
        stopping.obey()
        launcher.backfill(window, attempt.run_id)
    if not due:
        launcher.load_and_publish()


def report(layout: Layout, attempt: Attempt, console: Console) -> int:
    """Prints the account of a run; the exit status says whether requests failed."""
    accounts = runs.accounts(layout, attempt.run_id)
    states: Counter[RequestState] = Counter()
    for account in accounts:
        states.update(account.states)
    planned = sum(account.planned for account in accounts)
    console.print("")
    console.print(
        f"{planned} requests planned = "
        + " + ".join(f"{states[state]} {state.value}" for state in RequestState)
    )
    interactions = sum(account.interactions for account in accounts)
    rejects = sum(account.rejects for account in accounts)
    console.print(f"{interactions} interactions in the answers, {rejects} records set aside")
    if states[RequestState.UNAVAILABLE]:
        console.print("a source was unavailable; these days are listed by `status`")
    if states[RequestState.FAILED]:
        _name_failures(layout, attempt, console)
    windows_ = len(certificates.paths(layout, attempt.run_id))
    console.print(
        f"certified: {layout.certificates}/{attempt.run_id}.*.json (windows: {windows_})",
        soft_wrap=True,
    )
    console.print(f"published: {layout.published}", soft_wrap=True)
    console.print(f"charts: {layout.report}", soft_wrap=True)
    return Exit.REQUESTS_FAILED if states[RequestState.FAILED] else Exit.COMPLETE


def _name_failures(layout: Layout, attempt: Attempt, console: Console) -> None:
    for failure in runs.failures(layout, attempt.run_id):
        named = ", ".join(failure.named) + (" …" if failure.contacts > len(failure.named) else "")
        console.print(
            f"failed: {failure.requests} requests: {failure.reason} (contact {named})",
            markup=False,
            soft_wrap=True,
        )
    console.print(
        "all of them: select * from raw_gws.requests where state = 'failed'; to ask them again: "
        f"history-pipeline backfill --from {attempt.days.start} --to {attempt.days.last} "
        "--only-failed",
        soft_wrap=True,
    )
