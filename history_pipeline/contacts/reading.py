"""Reads the configured contact source."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from history_pipeline.contacts.directory import DirectoryContacts, open_session
from history_pipeline.contacts.listed_file import FileContacts
from history_pipeline.contacts.listing import refresh
from history_pipeline.settings import Settings
from history_pipeline.storage import contact_list
from history_pipeline.storage.contact_list import Listed
from history_pipeline.storage.layout import Layout

log = logging.getLogger(__name__)


def read(
    settings: Settings,
    layout: Layout,
    now: datetime,
    on_page: Callable[[int], None] = lambda rows: None,
) -> Listed:
    """Brings the lake's contacts up to date.

    `activity` depends on the days that are asked for, so it is read when a run starts; here it
    only says what is known already.
    """
    if settings.contact_source == "activity":
        ids = len(contact_list.current_ids(layout))
        return Listed(contacts=ids, known=ids, passes=0, passes_agree=True)
    if settings.contact_source == "file":
        path = Path(settings.contacts.removeprefix("file:"))
        return refresh(FileContacts(path), layout, now, on_page)
    with open_session(settings) as session:
        listed = refresh(DirectoryContacts(settings, session), layout, now, on_page)
    if not listed.passes_agree:
        log.warning(
            "the contact list changed in each of %d passes; all that were seen are asked",
            listed.passes,
        )
    return listed
