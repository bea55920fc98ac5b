"""A day's file: the union of what it held and what came in, one row per interaction and set of
names asked for. What it held and holds no longer goes to its version file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history_pipeline.storage import damage, database, files, folding, versions
from history_pipeline.storage.database import quote
from history_pipeline.storage.schemas import MOMENT, OBSERVATIONS
from history_pipeline.storage.splitting import COPY_ID, DayCopies

KEY = "interaction_id, md5_number(asked), window_date"
"""A long list of names is grouped by its digest: it is the same for nearly all rows."""


_CONTENT = folding.content()
_HISTORY = """,
    min(coalesce(unchanged_since, first_seen_at)) as first_since,
    any_value(known_content) as known_content,
    any_value(unchanged_since) filter (where known_content is not null) as known_since,
    min(copy_id) as known_copy_id
"""
"""Of the row that the file held, if it held one: what it said, since when, and where it is."""


def _new_content() -> str:
    return folding.content(
        lambda column: f"{'won' if column in folding.MERGED_COLUMNS else 'copies'}.{column}"
    )


_IS_CHANGED = f"won.known_content <> {_new_content()}"
_SINCE = f"""
    case when won.known_content is null then won.first_since
        when {_IS_CHANGED} then won.last_seen_at
        else won.known_since end
"""


def put_in_place(
    connection: duckdb.DuckDBPyConnection, path: Path, versions_: Path, fresh: DayCopies
) -> None:
    """Folds what came in into the day's file and replaces it atomically, its versions first.
    Doing so twice with the same copies changes nothing."""
    files.make_directory(path.parent)
    unfinished = path.with_name(f".{path.name}.new")
    known = path if path.exists() else None
    superseded = versions.Superseded(path, versions_)
    with (
        damage.looked_for(days=[path, versions_]),
        files.gone_if_unfinished(unfinished),
        database.translating(str(path)),
        files.storing(path),
        files.private(unfinished) as file,
    ):
        with pq.ParquetWriter(file, OBSERVATIONS, **files.PARQUET) as writer:
            for batch in _folded(connection, known, fresh, superseded):
                writer.write_batch(batch)
        files.sync(file)
    superseded.put_in_place(connection)
    files.replace(unfinished, path)


def _folded(
    connection: duckdb.DuckDBPyConnection,
    known: Path | None,
    fresh: DayCopies,
    superseded: versions.Superseded,
) -> Iterator[pa.RecordBatch]:
    copies = f"(select *, null::ubigint as known_content from arrived {_known_copies(known)})"
    rows = fresh.rows + (pq.read_metadata(known).num_rows if known else 0)
    shares = database.shares(rows)
    for share in range(shares):
        with fresh.batches() as reader:
            connection.register("arrived", reader)
            connection.execute(f"""
                create or replace temp table chosen as
                {
                folding.winners(
                    f"{copies} where hash(interaction_id) % {shares} = {share}", KEY, _HISTORY
                )
            }
            """)
        with fresh.batches() as reader:
            connection.register("arrived", reader)
            result = connection.sql(folding.folded(copies, "chosen", _SINCE, _SUPERSEDED))
            found = []
            for batch in result.to_arrow_reader(fresh.batch_rows):
                yield batch.select(OBSERVATIONS.names).cast(OBSERVATIONS)
                found.append(_superseded(batch))
        connection.unregister("arrived")
        superseded.take(connection, pa.Table.from_batches(found, _FOUND))
    connection.execute("drop table if exists chosen")


def _known_copies(known: Path | None) -> str:
    if known is None:
        return ""
    return (
        f"union all by name select *, -1 - file_row_number as {COPY_ID}, "
        f"{_CONTENT} as known_content from read_parquet({quote(str(known))})"
    )


_SUPERSEDED = f", case when {_IS_CHANGED} then -1 - won.known_copy_id end as superseded_row"
_FOUND = pa.schema([("row", pa.int64()), ("superseded_at", MOMENT)])


def _superseded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Which rows of the file that was are superseded by these, and when that was seen."""
    rows = batch.select(["superseded_row", "unchanged_since"]).rename_columns(_FOUND.names)
    return rows.filter(pc.is_valid(rows["row"])).cast(_FOUND)
