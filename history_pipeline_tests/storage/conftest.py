"""A data directory for each test; and no test is hurried: a busy machine is no failure."""

from pathlib import Path

import pytest
from hypothesis import settings

from history_pipeline.storage.layout import Layout
from history_pipeline_tests.storage.lake import Lake

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "home")


@pytest.fixture
def lake(layout: Layout) -> Lake:
    return Lake(layout)
