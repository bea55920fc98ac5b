"""`plan`: what a backfill would ask, and what it would take. Asks for contacts and no history."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

from rich.console import Console
from rich.filesize import decimal

from history_pipeline import settings as settings_module
from history_pipeline.cli.backfill import check_days
from history_pipeline.cli.display import own_console
from history_pipeline.cli.exits import Exit
from history_pipeline.contacts import reading
from history_pipeline.errors import LockTimeout
from history_pipeline.history.plan import windows
from history_pipeline.settings import Settings
from history_pipeline.storage import contact_list, identity
from history_pipeline.storage.experience import Experience, experience
from history_pipeline.storage.layout import Layout

_MOMENT = 1.0
"""Seconds to wait for another run: a plan is looked at."""


def run_plan(from_day: date, to_day: date) -> int:
    """Returns the exit status; raises PipelineError."""
    console = own_console()
    settings = settings_module.load()
    now = datetime.now(UTC)
    days = check_days(settings, from_day, to_day, now)
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    contacts = _contacts(settings, layout, now, console)
    tiles = windows(days, settings.window_days)
    requests = contacts * len(tiles) * len(settings.sources)
    note = " (known so far: a run finds those active in its days)" if _is_found(settings) else ""
    console.print(f"contacts  {contacts:,}{note}")
    console.print(f"windows   {len(tiles):,} of at most {settings.window_days} days")
    console.print(f"requests  {requests:,} ({', '.join(settings.sources)})")
    _foretell(console, settings, layout, experience(layout), requests, contacts * days.days)
    return Exit.COMPLETE


def _contacts(settings: Settings, layout: Layout, now: datetime, console: Console) -> int:
    """How many there are; of those listed last, where another run asks the server now."""
    try:
        return reading.read(settings, layout, now, wait=_MOMENT).contacts
    except LockTimeout as exc:
        if not layout.contacts.exists():
            raise
        console.print(f"the contacts are those listed last: {exc}")
        return len(contact_list.current_ids(layout))


def _is_found(settings: Settings) -> bool:
    return settings.contact_source == "activity"


def _foretell(
    console: Console,
    settings: Settings,
    layout: Layout,
    known: Experience | None,
    requests: int,
    contact_days: int,
) -> None:
    if known is None:
        if settings.requests_per_second:
            console.print(f"time      at least {_time(requests / settings.requests_per_second)}")
        console.print(
            "time and bytes are not known before a first run; a backfill of one day tells"
        )
        return
    rate = settings.concurrency / max(known.seconds_per_request, 0.001)
    bound = f"{settings.concurrency} in flight, {known.seconds_per_request:.2f} s each"
    if 0 < settings.requests_per_second < rate:
        rate, bound = settings.requests_per_second, f"{settings.requests_per_second:g} a second"
    size = known.interactions_per_contact_day * contact_days * known.bytes_per_interaction
    console.print(f"time      about {_time(requests / rate)} ({bound})")
    console.print(
        f"bytes     about {decimal(int(size))}, as {known.requests:,} requests so far tell"
    )
    free = shutil.disk_usage(layout.root).free
    if size > free:
        console.print(f"the disk has only {decimal(free)} left: make room first", style="bold red")


def _time(seconds: float) -> str:
    return str(timedelta(seconds=max(1, round(seconds))))
