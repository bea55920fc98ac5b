"""One UI for all modules. Its backfill is launched by the first test that wants it and goes on
while other modules' tests run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from history_pipeline_tests.dagster_ui.browser import chromium
from history_pipeline_tests.dagster_ui.scenario import DAYS, SPAN, WINDOWS
from history_pipeline_tests.dagster_ui.site import Site
from history_pipeline_tests.dagster_ui.webserver import Ui, ui
from history_pipeline_tests.end_to_end.running import environment, simulator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with simulator(SPAN) as url:
        yield url


@pytest.fixture(scope="session")
def opened(
    server: str, tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Iterator[Ui]:
    root = tmp_path_factory.mktemp("site")
    told = environment(
        server,
        root / "data",
        HISTORY_START_DATE=DAYS[0],
        HISTORY_WINDOW_DAYS=str(len(WINDOWS[0])),
        # nothing is lost here, and nothing may be asked twice because the machine is busy
        GWS_NOTIFICATION_TIMEOUT="20",
    )
    seed_dbt(root / "data")
    with ui(Site(root, told)) as running:
        yield running


@pytest.fixture(scope="session")
def launched(opened: Ui) -> str:
    """A backfill of every asset over five days, from the UI, in an instance that was empty."""
    return opened.launch_backfill(opened.assets(), DAYS)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    with chromium(CHROMIUM, tmp_path_factory.mktemp("chromium")) as devtools:
        yield devtools
