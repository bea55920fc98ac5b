"""Which attempt a run is: one that did not finish, a new one, or one at what is left over.

Knows where contacts come from. Does not know how a window is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from history_pipeline.errors import ConfigurationError
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.history.finding import find
from history_pipeline.history.plan import windows
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts, contact_list, warehouse
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.remaining import is_discovered, remaining

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


async def open_attempt(
    settings: Settings,
    layout: Layout,
    days: Window,
    now: Callable[[], datetime] = utc_now,
    patience: float = PATIENCE,
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
        run_id = attempts.new_id(days, print_, now())
        listed = await find(settings, layout, days, run_id, now, patience)
        return attempts.start(
            layout,
            days,
            print_,
            listed.contact_ids,
            now(),
            run_id=run_id,
            is_discovery_complete=listed.is_complete,
        )
    if not layout.contacts.exists():
        raise ConfigurationError("no contacts were listed yet; materialize `contacts` first")
    return attempts.start(layout, days, print_, contact_list.current_ids(layout), now())


async def open_rest(
    settings: Settings,
    layout: Layout,
    days: Window,
    now: Callable[[], datetime] = utc_now,
    patience: float = PATIENCE,
) -> Attempt | None:
    """An attempt at what is left to ask of these days, by what the warehouse knows; None where
    nothing is. Call it with the extraction's lock held."""
    tiles = windows(days, settings.window_days)
    print_ = attempts.fingerprint(settings, only_rest=True)
    run_id = attempts.new_id(days, print_, now())
    is_found = settings.contact_source == "activity"
    vouches = False
    if not is_found:
        known = contact_list.current_ids(layout)
    elif is_discovered(layout, days, settings.sources):
        known = None
    else:
        listed = await find(settings, layout, days, run_id, now, patience)
        known, vouches = listed.contact_ids, listed.is_complete
    with warehouse.writing(layout, "looking for what is left to ask"):
        plan = remaining(layout, tiles, settings.sources, known, and_all_asked=is_found)
    if not plan.num_rows and not vouches:
        return None
    return attempts.start(
        layout,
        days,
        print_,
        plan["contact_id"].unique(),
        now(),
        run_id=run_id,
        # what an earlier run has discovered, that run vouches for
        is_discovery_complete=vouches,
        plan=plan,
    )
