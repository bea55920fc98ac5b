"""Readers are never blocked and never see half a load."""

from __future__ import annotations

from pathlib import Path

import pytest

from history_pipeline.storage import files
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


@pytest.mark.slow
def test_a_copy_that_is_cut_where_it_is_read_is_seen(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: no rename, and every second copy comes to an end half-way."""
    replace = files.replace
    copies: list[int] = []

    def in_place(source: Path, target: Path) -> None:
        if target != layout.published:
            return replace(source, target)
        whole = source.read_bytes()
        copies.append(len(whole))
        target.write_bytes(whole[: len(whole) // 2 if len(copies) % 2 == 0 else None])
        return source.unlink()

    monkeypatch.setattr(files, "replace", in_place)
    seen = read_while_publishing(layout, readers=6, loads=6)
    assert seen.torn or seen.errors
