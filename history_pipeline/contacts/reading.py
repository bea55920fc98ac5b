"""Reads the configured contact source."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

from history_pipeline.contacts.directory import DirectoryContacts, open_session
from history_pipeline.contacts.listed_file import FileContacts
from history_pipeline.contacts.listing import refresh
from history_pipeline.settings import Settings
from history_pipeline.storage import contact_list, locks
from history_pipeline.storage.contact_list import Listed
from history_pipeline.storage.layout import Layout

log = logging.getLogger(__name__)


def read(
    settings: Settings,
    layout: Layout,
    now: datetime,
    on_page: Callable[[int], None] = lambda rows: None,
    wait: float = locks.DEADLINE,
) -> Listed:
    """Brings the lake's contacts up to date. Raises LockTimeout where another run asks the server,
    or lists its contacts, for `wait` seconds more.

    `activity` depends on the days that are asked for, so it is read when a run starts; here it
    only says what is known already.
    """
    if settings.contact_source == "activity":
        ids = len(contact_list.current_ids(layout))
        return Listed(contacts=ids, known=ids, passes=0, passes_agree=True)
    with locks.exclusive(layout.extraction_lock, "listing contacts", wait):
        return _read(settings, layout, now, on_page)


def read_full(
    settings: Settings,
    layout: Layout,
    now: datetime,
    discovered: Collection[str],
    on_page: Callable[[int], None],
) -> Listed:
    """Brings the lake's contacts up to date with HISTORY_FULL_LIST, and with those who were
    discovered. Call it with the extraction's lock held."""
    return _read(settings, layout, now, on_page, discovered)


def listed_file(settings: Settings) -> FileContacts | None:
    """The file of contacts that is configured, if one is."""
    for place, variable in (
        (settings.contacts, "HISTORY_CONTACTS"),
        (settings.full_list or "", "HISTORY_FULL_LIST"),
    ):
        if place.startswith("file:"):
            return FileContacts(Path(place.removeprefix("file:")), variable)
    return None


def _read(
    settings: Settings,
    layout: Layout,
    now: datetime,
    on_page: Callable[[int], None],
    also: Collection[str] = (),
) -> Listed:
    file = listed_file(settings)
    if file is not None:
        return refresh(file, layout, now, on_page, also)
    with open_session(settings) as session:
        listed = refresh(DirectoryContacts(settings, session), layout, now, on_page, also)
    if not listed.passes_agree:
        log.warning(
            "the contact list changed in each of %d passes; all that were seen are asked",
            listed.passes,
        )
    return listed
