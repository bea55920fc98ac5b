"""The full list is read in a thread, and a run that is stopped does not wait for all of it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from history_pipeline.history import finding
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.contacts.list_server import Page, json_page, serving
from history_pipeline_tests.end_to_end.running import environment, settings_of
from history_pipeline_tests.storage.lake import NOON

_DEADLINE = 30


async def test_a_list_without_end_is_left_with_the_page_that_is_read(tmp_path: Path) -> None:
    is_under_way = threading.Event()

    def page(offset: int, limit: int) -> Page:
        if offset > 3:
            is_under_way.set()
        return json_page([{"id": str(offset)}])

    layout = Layout(tmp_path)
    with serving(page) as server:
        settings = settings_of(
            environment(server.url, tmp_path, HISTORY_CONTACTS="activity", HISTORY_FULL_LIST="gws")
        )
        listing = asyncio.ensure_future(finding.list_all(settings, layout, NOON, {"c"}))
        assert await asyncio.to_thread(is_under_way.wait, _DEADLINE)
        listing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listing
    assert not layout.contacts.exists()
    assert list(layout.scratch.glob("contacts/*")) == []
