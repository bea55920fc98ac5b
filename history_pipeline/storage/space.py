"""Whether the disk has room for what comes next."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout

RESERVE = 500 * 1024 * 1024
"""For parts, day files and DuckDB's spilling, beside the copies of the warehouse."""

_MEGABYTE = 1024 * 1024


def must_be_writable(directory: Path) -> None:
    """Raises Unwritable where the disk takes not even a megabyte: then that is why others, who do
    not tell, have failed there."""
    probe = directory / f".probe-{os.getpid()}"
    with files.gone_if_unfinished(probe), files.storing(directory):
        with files.private(probe) as file:
            file.write(bytes(_MEGABYTE))
            files.sync(file)
        probe.unlink()


def shortage(layout: Layout) -> str | None:
    """A warning where the next load may not fit: it writes to the warehouse, and publishing makes
    a copy while the published file is still there."""
    held = layout.warehouse.stat().st_size if layout.warehouse.exists() else 0
    needed = 2 * held + RESERVE
    free = shutil.disk_usage(layout.root).free
    if free >= needed:
        return None
    return (
        f"{layout.root} has {free // _MEGABYTE} MB left, and a load may take "
        f"{needed // _MEGABYTE} MB; make room before it is full"
    )
