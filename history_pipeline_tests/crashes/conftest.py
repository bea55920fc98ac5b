from __future__ import annotations

from collections.abc import Iterator

import pytest

from history_pipeline_tests.crashes import kills
from history_pipeline_tests.crashes.scene import Scene, scene


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), traced=kills.can_trace()) as made:
        yield made
