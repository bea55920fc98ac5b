"""A day's file: the union of what it held and what came in, one row per interaction and set of
names asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.storage import damage, database, files, folding
from history_pipeline.storage.database import quote
from history_pipeline.storage.schemas import OBSERVATIONS
from history_pipeline.storage.splitting import COPY_ID, DayCopies

KEY = "interaction_id, md5_number(asked), window_date"
"""A long list of names is grouped by its digest: it is the same for nearly all rows."""


def put_in_place(connection: duckdb.DuckDBPyConnection, path: Path, fresh: DayCopies) -> None:
    """Folds what came in into the day's file and replaces it atomically. Doing so twice with the
    same copies changes nothing."""
    files.make_directory(path.parent)
    unfinished = path.with_name(f".{path.name}.new")
    with (
        damage.looked_for(days=[path]),
        files.gone_if_unfinished(unfinished),
        database.translating(str(path)),
        files.storing(path),
        files.private(unfinished) as file,
    ):
        with pq.ParquetWriter(file, OBSERVATIONS, **files.PARQUET) as writer:
            for batch in _folded(connection, path if path.exists() else None, fresh):
                writer.write_batch(batch)
        files.sync(file)
    files.replace(unfinished, path)


def _folded(
    connection: duckdb.DuckDBPyConnection, known: Path | None, fresh: DayCopies
) -> Iterator[pa.RecordBatch]:
    copies = f"(from arrived {_known_copies(known)})"
    rows = fresh.rows + (pq.read_metadata(known).num_rows if known else 0)
    shares = database.shares(rows)
    for share in range(shares):
        with fresh.batches() as reader:
            connection.register("arrived", reader)
            connection.execute(f"""
                create or replace temp table chosen as
                {folding.winners(f"{copies} where hash(interaction_id) % {shares} = {share}", KEY)}
            """)
        with fresh.batches() as reader:
            connection.register("arrived", reader)
            result = connection.sql(folding.folded(copies, "chosen"))
            for batch in result.to_arrow_reader(fresh.batch_rows):
                yield batch.select(OBSERVATIONS.names).cast(OBSERVATIONS)
        connection.unregister("arrived")
    connection.execute("drop table if exists chosen")


def _known_copies(known: Path | None) -> str:
    if known is None:
        return ""
    return (
        f"union all by name select *, -1 - file_row_number as {COPY_ID} "
        f"from read_parquet({quote(str(known))})"
    )
