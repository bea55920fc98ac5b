from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from history_pipeline.storage.layout import Layout


@pytest.fixture(scope="session")
def seed_dbt(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Lays the parsed dbt project into a data directory: parsing costs 10 s, and once is enough."""
    from history_pipeline.defs import dbt_project

    parsed = Layout(tmp_path_factory.mktemp("parsed"))
    dbt_project.manifest(parsed)

    def seed(data_dir: Path) -> None:
        shutil.copytree(parsed.dbt, Layout(data_dir).dbt)

    return seed
