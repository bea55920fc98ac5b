"""The first look at the UI. The backfill that it launches goes on behind the next modules' tests."""

from __future__ import annotations

import pytest

from history_pipeline_tests.dagster_ui.browser import read
from history_pipeline_tests.dagster_ui.webserver import Ui

pytestmark = pytest.mark.slow


@pytest.mark.browser
async def test_the_asset_graph_shows_every_asset_by_name(
    opened: Ui, launched: str, browser: str
) -> None:
    names = sorted(path[-1] for path in opened.assets())
    url = f"{opened.url}/asset-groups"
    page = await read(browser, url, lambda page: len(page.drawn) == len(names))
    assert set(names) <= set(page.lines), "the list beside the graph has them in full"
    assert {"contacts", "interactions", "warehouse", "published"} <= set(page.drawn)
