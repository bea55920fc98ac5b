"""The lake's days cut anew, in another zone.

Every interaction keeps its instant; only the local day that it falls on, and so its file, changes.
The new files are written beside the old ones and put in their place at the end. While that is
under way the identity says so, and the directory is refused to everybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history_pipeline.storage import database, days, files, identity
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import OBSERVATIONS
from history_pipeline.storage.splitting import split_tables

_BATCH_ROWS = 5_000
_EPOCH = date(1970, 1, 1)


def recut(layout: Layout, zone: ZoneInfo) -> int:
    """Cuts all days in `zone`; returns how many files there are now. Can be killed and repeated.
    Call it with the extraction's and the warehouse's locks held."""
    fresh, old = (layout.lake / name for name in ("days.new", "days.old"))
    if not layout.days.exists() and old.exists():
        files.replace(old, layout.days)
    identity.note_recutting(layout, zone.key)
    for leftover in (fresh, old):
        files.remove_tree(leftover)
    files.make_directory(fresh)
    written = database.in_little_memory(
        layout.scratch, lambda connection: _write(connection, layout, zone, fresh)
    )
    if layout.days.exists():
        files.replace(layout.days, old)
    files.replace(fresh, layout.days)
    identity.note_zone(layout, zone.key)
    files.remove_tree(old)
    return written


def _write(
    connection: duckdb.DuckDBPyConnection, layout: Layout, zone: ZoneInfo, fresh: Path
) -> int:
    apart = layout.scratch / "recutting"
    files.remove_tree(apart)
    found = split_tables(_recut_rows(layout, zone), apart)
    for copies in found:
        days.put_in_place(connection, layout.day(copies.day, fresh), copies)
    files.remove_tree(apart)
    return len(found)


def _recut_rows(layout: Layout, zone: ZoneInfo) -> Iterator[pa.Table]:
    place = OBSERVATIONS.get_field_index("window_date")
    for path in layout.day_files():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS):
                table = pa.Table.from_batches([batch]).select(OBSERVATIONS.names)
                moved = local_days(table["started_at"], zone)
                yield table.cast(OBSERVATIONS).set_column(place, "window_date", moved)


def local_days(instants: pa.ChunkedArray, zone: ZoneInfo) -> pa.Array:
    """The day in `zone` (date32) of each instant (microseconds, UTC)."""
    micros = pc.cast(instants, pa.int64()).to_numpy()
    if not len(micros):
        return pa.array([], pa.date32())
    first, last = (
        datetime.fromtimestamp(int(edge) // 1_000_000, UTC).date()
        for edge in (micros.min(), micros.max())
    )
    edges = [first + timedelta(days=n) for n in range(-1, (last - first).days + 3)]
    # a day begins where the clock first shows it, also where midnight is skipped
    begins = np.array([_begin(day, zone) for day in edges], dtype=np.int64)
    place = np.searchsorted(begins, micros, side="right") - 1
    return pa.array((edges[0] - _EPOCH).days + place, pa.int32()).cast(pa.date32())


def _begin(day: date, zone: ZoneInfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return int(midnight.timestamp()) * 1_000_000
