"""What a contact source is, and how its list is read until it can be believed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import Protocol

from history_pipeline.model import Contact
from history_pipeline.storage.contact_list import ContactSpool, Listed
from history_pipeline.storage.layout import Layout

MOST_PASSES = 5


class ContactSource(Protocol):
    """A list of contacts that can be read from the start, page by page."""

    can_change: bool
    """Whether the list can change while it is read, so that one pass proves nothing."""

    def pages(self) -> Iterator[list[Contact]]: ...


def refresh(
    source: ContactSource,
    layout: Layout,
    now: datetime,
    on_page: Callable[[int], None] = lambda rows: None,
    also: Collection[str] = (),
) -> Listed:
    """Reads the list until two passes agree, at most 5 times, and keeps all that were seen, and
    those in `also` with them.

    Contacts that come and go while paging move others across page edges: a single pass can miss
    some that were there all the time.
    """
    spool = ContactSpool(layout)
    try:
        for _ in range(MOST_PASSES):
            spool.add_pass(_counted(source.pages(), on_page))
            if not source.can_change or spool.last_passes_agree():
                break
        if also:
            spool.add_discovered(also)
        return spool.keep(now)
    finally:
        spool.close()


def _counted(
    pages: Iterator[list[Contact]], on_page: Callable[[int], None]
) -> Iterator[list[Contact]]:
    for page in pages:
        on_page(len(page))
        yield page
