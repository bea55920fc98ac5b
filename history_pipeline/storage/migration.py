"""Brings the lake of an older version to this one's format.

Each step rewrites what it must file by file, can be killed and repeated, and notes the new format
last. Nothing is asked of the server, and nothing is lost.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.errors import StorageError
from history_pipeline.storage import files, locks
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LAKE_FORMAT, OBSERVATIONS

log = logging.getLogger(__name__)

_BATCH_ROWS = 5_000


def to_present(layout: Layout, deadline: float = locks.DEADLINE) -> None:
    """Raises LockTimeout while a run is at work, StorageError where a file cannot be read."""
    with (
        locks.exclusive(layout.extraction_lock, "migrating the lake", deadline),
        locks.exclusive(layout.warehouse_lock, "migrating the lake", deadline),
    ):
        known = files.read_json(layout.identity)
        if known["format"] == LAKE_FORMAT:  # another process was here before the lock was ours
            return
        log.warning("%s is brought from lake format %s to %s", layout.root, known["format"],
                    LAKE_FORMAT)  # fmt: skip
        if known["format"] == 1:
            _from_first(layout)
        files.replace_json({**known, "format": LAKE_FORMAT}, layout.identity)


def _from_first(layout: Layout) -> None:
    """Format 1 kept no versions. What it holds of an interaction counts as what was seen first:
    nobody knows since when it says so."""
    for path in layout.day_files():
        if "unchanged_since" not in _schema(path).names:
            _rewrite(path)


def _rewrite(path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.new")
    with files.storing(path), pq.ParquetFile(path) as old, files.private(unfinished) as file:
        with pq.ParquetWriter(file, OBSERVATIONS, **files.PARQUET) as new:
            for batch in old.iter_batches(_BATCH_ROWS):
                table = pa.Table.from_batches([batch])
                table = table.append_column("unchanged_since", table["first_seen_at"])
                empty = pa.nulls(table.num_rows, OBSERVATIONS.field("superseded_at").type)
                table = table.append_column("superseded_at", empty)
                new.write_table(table.select(OBSERVATIONS.names).cast(OBSERVATIONS))
        files.sync(file)
    files.replace(unfinished, path)


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as exc:
        raise StorageError(f"{path} is damaged: {type(exc).__name__}") from exc
