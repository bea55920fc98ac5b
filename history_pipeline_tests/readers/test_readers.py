"""Readers are never blocked and never see half a load."""

from __future__ import annotations

import pytest

from history_pipeline.storage.layout import Layout
from history_pipeline_tests.readers.scene import read_while_publishing


@pytest.mark.slow
def test_readers_see_whole_loads_only_one_after_another(layout: Layout) -> None:
    seen = read_while_publishing(layout, readers=6, loads=6)
    assert (seen.torn, seen.errors) == (0, [])
    assert seen.held == 1
    assert seen.reads > 20
    assert seen.states > 2
    assert seen.is_in_order
