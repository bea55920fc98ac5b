"""A disk that is nearly full is said before it is."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from history_pipeline.storage import space
from history_pipeline.storage.layout import Layout

Usage = namedtuple("Usage", "total used free")
MB = 1024 * 1024


@pytest.mark.parametrize(
    ("held", "free", "is_short"),
    [(0, 501, False), (0, 499, True), (1_000, 2_501, False), (1_000, 2_499, True)],
)
def test_room_is_wanted_for_two_copies_of_the_warehouse_and_a_reserve(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, held: int, free: int, is_short: bool
) -> None:
    layout.root.mkdir()
    if held:
        with layout.warehouse.open("wb") as file:
            file.truncate(held * MB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, free * MB))
    warning = space.shortage(layout)
    assert (warning is not None) == is_short
    if warning is not None:
        assert f"{free} MB left" in warning
