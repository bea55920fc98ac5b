from pathlib import Path

import pytest

from history_pipeline.storage.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)
