"""What the lake's days said of their interactions before they said something else.

A version file belongs to a day's file. It only grows, and is put in place before the day's file
that no longer has what it holds: so a kill between the two loses nothing, and the same fold done
again adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.storage import database, files
from history_pipeline.storage.database import quote
from history_pipeline.storage.schemas import OBSERVATIONS
from history_pipeline.storage.splitting import DayCopies

_KEY = "interaction_id, asked, unchanged_since"
_BATCH_ROWS = 5_000


class Superseded:
    """Takes what a fold supersedes of one day's file, share by share."""

    def __init__(self, day: Path, versions: Path) -> None:
        self._day = day
        self._versions = versions
        self._apart = versions.with_name(f".{versions.name}.superseded")
        self._writer: pq.ParquetWriter | None = None

    def take(self, connection: duckdb.DuckDBPyConnection, found: pa.Table) -> None:
        """`found` has the columns row (of the day's file) and superseded_at."""
        if not found.num_rows:
            return
        if self._writer is None:
            files.make_directory(self._versions.parent)
            with files.storing(self._apart), files.private(self._apart):
                pass
            self._writer = pq.ParquetWriter(self._apart, OBSERVATIONS, **files.PARQUET)
        connection.register("found", found)
        rows = connection.sql(f"""
            select held.* replace (found.superseded_at as superseded_at)
            from read_parquet({quote(str(self._day))}, file_row_number = true) as held
            join found on found.row = held.file_row_number
        """).to_arrow_reader(_BATCH_ROWS)
        with files.storing(self._apart):
            for batch in rows:
                self._writer.write_batch(batch.select(OBSERVATIONS.names).cast(OBSERVATIONS))
        connection.unregister("found")

    def put_in_place(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Call it before the day's file is replaced."""
        if self._writer is None:
            return
        with files.storing(self._apart):
            self._writer.close()
        added = f"read_parquet({quote(str(self._apart))})"
        rows = pq.read_metadata(self._apart).num_rows
        _extend(connection, self._versions, added, rows)
        files.remove_tree(self._apart)


def write(path: Path, known: DayCopies) -> None:
    """A new version file, of versions that are known already."""
    files.make_directory(path.parent)
    with files.storing(path), files.private(path) as file, known.batches() as reader:
        with pq.ParquetWriter(file, OBSERVATIONS, **files.PARQUET) as writer:
            for batch in reader:
                writer.write_batch(batch.select(OBSERVATIONS.names))
        files.sync(file)


def _extend(connection: duckdb.DuckDBPyConnection, path: Path, added: str, rows: int) -> None:
    """The versions that the file holds, and of `added` those that it does not hold yet."""
    unfinished = path.with_name(f".{path.name}.new")
    with files.storing(path), files.private(unfinished) as file:
        with pq.ParquetWriter(file, OBSERVATIONS, **files.PARQUET) as writer:
            for batch in _extended(connection, path if path.exists() else None, added, rows):
                writer.write_batch(batch.select(OBSERVATIONS.names).cast(OBSERVATIONS))
        files.sync(file)
    files.replace(unfinished, path)


def _extended(
    connection: duckdb.DuckDBPyConnection, known: Path | None, added: str, rows: int
) -> Iterator[pa.RecordBatch]:
    if known is None:
        yield from connection.sql(f"from {added}").to_arrow_reader(_BATCH_ROWS)
        return
    held = f"read_parquet({quote(str(known))})"
    yield from connection.sql(f"from {held}").to_arrow_reader(_BATCH_ROWS)
    shares = database.shares(rows + pq.read_metadata(known).num_rows)
    for share in range(shares):
        of_share = f"hash(interaction_id) % {shares} = {share}"
        yield from connection.sql(f"""
            from {added} as added
            where {of_share} and ({_KEY}) not in (select ({_KEY}) from {held} where {of_share})
        """).to_arrow_reader(_BATCH_ROWS)
