"""Whom to ask for, where the server tells who was active; with the full list behind it.

Knows what makes up for a listing that stayed cut. Does not know how activity is listed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from history_pipeline.contacts import activity, reading
from history_pipeline.contacts.activity import CutListing, Discovered
from history_pipeline.gws.connecting import connected
from history_pipeline.model import DiscoveryRequest, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import contact_list, discovery
from history_pipeline.storage.layout import Layout

log = logging.getLogger(__name__)

_NAMED = 20


@dataclass(frozen=True, slots=True)
class Found:
    """Whom to ask for. `is_complete` tells that nobody else was active."""

    contact_ids: pa.Array
    is_complete: bool


async def find(
    settings: Settings,
    layout: Layout,
    days: Window,
    run_id: str,
    now: Callable[[], datetime],
    patience: float,
) -> Found:
    """Asks who was active in these days, and keeps them as the newest list, and what was asked as
    the run's. Call it with the extraction's lock held."""
    asked: list[DiscoveryRequest] = []
    try:
        async with connected(settings, patience) as client:
            discovered = await activity.discover(
                client,
                days,
                settings.sources,
                settings.overlap_days,
                settings.max_attempts,
                patience,
                zone=settings.zone,
                longest_span=settings.window_days,
                on_request=asked.append,
            )
    finally:
        discovery.keep(layout, run_id, asked)
    log.info(
        "%d contacts were active in %s, as %d questions tell",
        len(discovered.contact_ids),
        days,
        len(asked),
    )
    _name(discovered.cut)
    if discovered.cut and settings.full_list is not None:
        log.warning("the full list (%s) makes up for that: all of it is asked", settings.full_list)
        await list_all(settings, layout, now(), discovered.contact_ids)
        return Found(contact_list.current_ids(layout), is_complete=True)
    return _kept(layout, discovered, now())


def _kept(layout: Layout, discovered: Discovered, now: datetime) -> Found:
    contact_list.add_discovered(layout, discovered.contact_ids, now)
    ids = pa.array(discovered.contact_ids, pa.string())
    return Found(ids, is_complete=not discovered.cut)


def _name(cut: list[CutListing]) -> None:
    for each in cut[:_NAMED]:
        log.warning(
            "activity of %s (%s, %s) is listed in part only", each.day, each.source, each.media_type
        )
    if len(cut) > _NAMED:
        log.warning("so it is of %d more days and media types", len(cut) - _NAMED)


class _Stopped(Exception):
    """Nobody waits for the list any more."""


async def list_all(
    settings: Settings, layout: Layout, now: datetime, discovered: Collection[str]
) -> None:
    """In a thread, as pages block; when it is cancelled, it ends with the page that is read."""
    is_over = threading.Event()

    def on_page(rows: int) -> None:
        if is_over.is_set():
            raise _Stopped

    listing = asyncio.ensure_future(
        asyncio.to_thread(reading.read_full, settings, layout, now, discovered, on_page)
    )
    try:
        await asyncio.shield(listing)
    except asyncio.CancelledError:
        is_over.set()
        await asyncio.wait({listing})
        listing.exception()  # the cancellation goes first; nobody else asks for it
        raise
