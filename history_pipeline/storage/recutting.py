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

from history_pipeline.storage import database, days, files, identity, versions
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import OBSERVATIONS
from history_pipeline.storage.splitting import split_tables

_BATCH_ROWS = 5_000
_EPOCH = date(1970, 1, 1)


def recut(layout: Layout, zone: ZoneInfo) -> int:
    """Cuts all days in `zone`; returns how many files there are now. Can be killed and repeated.
    Call it with the extraction's and the warehouse's locks held."""
    turns = [_Turn(layout.days), _Turn(layout.versions)]
    for turn in turns:
        turn.restore()
    identity.note_recutting(layout, zone.key)
    for turn in turns:
        turn.begin()
    written = database.in_little_memory(
        layout.scratch, lambda connection: _write(connection, layout, zone, *turns)
    )
    for turn in turns:
        turn.put_in_place()
    identity.note_zone(layout, zone.key)
    for turn in turns:
        files.remove_tree(turn.old)
    return written


class _Turn:
    """A directory whose files are written anew beside it, and put in its place at the end."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fresh = directory.with_name(f"{directory.name}.new")
        self.old = directory.with_name(f"{directory.name}.old")

    def restore(self) -> None:
        """As it was, where a kill has left nothing in its place."""
        if not self.directory.exists() and self.old.exists():
            files.replace(self.old, self.directory)

    def begin(self) -> None:
        for leftover in (self.fresh, self.old):
            files.remove_tree(leftover)
        files.make_directory(self.fresh)

    def put_in_place(self) -> None:
        if self.directory.exists():
            files.replace(self.directory, self.old)
        files.replace(self.fresh, self.directory)


def _write(
    connection: duckdb.DuckDBPyConnection,
    layout: Layout,
    zone: ZoneInfo,
    days_: _Turn,
    versions_: _Turn,
) -> int:
    apart = layout.scratch / "recutting"
    files.remove_tree(apart)
    for copies in split_tables(_recut_rows(layout.version_files(), zone), apart):
        versions.write(layout.day_versions(copies.day, versions_.fresh), copies)
    files.remove_tree(apart)
    found = split_tables(_recut_rows(layout.day_files(), zone), apart)
    days.put_in_place(
        connection,
        found,
        lambda day: (
            layout.day(day, days_.fresh),
            layout.day_versions(day, versions_.fresh),
        ),
    )
    files.remove_tree(apart)
    return len(found)


def _recut_rows(paths: list[Path], zone: ZoneInfo) -> Iterator[pa.Table]:
    place = OBSERVATIONS.get_field_index("window_date")
    for path in paths:
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
