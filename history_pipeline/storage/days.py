"""A day's file: the union of what it held and what came in, one row per interaction and set of
names asked for. What it held and holds no longer goes to its version file.

Most interactions have one copy, and nothing is to be chosen: those go straight from the answers
to the file. Only where an interaction has several copies, DuckDB folds them, of many days at a
time. A day that is too large for that is folded by itself, in shares.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Self

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history_pipeline.storage import damage, database, files, folding, versions
from history_pipeline.storage.database import quote
from history_pipeline.storage.schemas import MOMENT, OBSERVATIONS
from history_pipeline.storage.splitting import COPY_ID, SPLIT, DayCopies

KEY = "interaction_id, md5_number(asked), window_date"
"""A long list of names is grouped by its digest: it is the same for nearly all rows."""

TOGETHER_BYTES = 24 * 1024 * 1024
"""Of the rows that are folded at a time; as many are written meanwhile."""

_WRITERS = 2

Place = Callable[[date], tuple[Path, Path]]
"""Where a day's file and its version file lie."""


@dataclass(frozen=True, slots=True)
class _Day:
    copies: DayCopies
    path: Path
    versions: Path
    known_rows: int = 0
    known_bytes: int = 0

    @property
    def bytes(self) -> int:
        """About as many as its rows take in memory, where a file's are packed."""
        of_known = self.copies.bytes * self.known_rows // max(1, self.copies.rows)
        return self.copies.bytes + max(of_known, self.known_bytes)

    @property
    def unfinished(self) -> Path:
        return self.path.with_name(f".{self.path.name}.new")


def put_in_place(
    connection: duckdb.DuckDBPyConnection,
    fresh: list[DayCopies],
    place: Place,
    done: Callable[[DayCopies], None] = lambda copies: None,
) -> None:
    """Folds what came in into the days' files and replaces each atomically, its versions first.
    Doing so twice with the same copies changes nothing. `done` is told which are not needed any
    more."""
    with _Writing(connection, done) as writing:
        for group in _groups(fresh, place):
            with damage.looked_for(
                days=[path for day in group for path in (day.path, day.versions)]
            ):
                if sum(day.bytes for day in group) <= TOGETHER_BYTES:
                    writing.follow_with(_folded_together(connection, group))
                    continue
                writing.finish()
                for day in group:
                    _put_large_in_place(connection, day)
                    done(day.copies)
        writing.finish()


def _groups(fresh: list[DayCopies], place: Place) -> Iterator[list[_Day]]:
    """Days that are folded at a time; what is larger is by itself."""
    group: list[_Day] = []
    for copies in fresh:
        day = _looked_at(copies, *place(copies.day))
        if group and sum(each.bytes for each in group) + day.bytes > TOGETHER_BYTES:
            yield group
            group = []
        group.append(day)
    if group:
        yield group


def _looked_at(copies: DayCopies, path: Path, versions_: Path) -> _Day:
    files.make_directory(path.parent)
    if not path.exists():
        return _Day(copies, path, versions_)
    with damage.looked_for(days=[path]), damage.reading(path):
        known = pq.read_metadata(path)
    size = sum(known.row_group(n).total_byte_size for n in range(known.num_row_groups))
    return _Day(copies, path, versions_, known.num_rows, size)


# -- days that are held whole ---------------------------------------------------------------------


@dataclass(slots=True)
class _Held:
    """A day that is held in memory. `alone` are the rows of interactions with one copy, folded
    like those of the others, which come as they are ready."""

    day: _Day
    superseded: versions.Superseded
    alone: pa.Table
    first_known: int
    folded: list[pa.Table] = field(default_factory=list)


class _Writing:
    """Days that are being written, while the next ones are folded."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, done: Callable[[DayCopies], None]
    ) -> None:
        self._connection = connection
        self._done = done
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="day-writer")
        self._held: list[_Held] = []
        self._written: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writers.shutdown(cancel_futures=True)
        for each in self._held:
            with contextlib.suppress(OSError):
                each.day.unfinished.unlink(missing_ok=True)

    def follow_with(self, held: list[_Held]) -> None:
        self.finish()
        self._held = held
        self._written = [self._writers.submit(_write, each) for each in held]

    def finish(self) -> None:
        """All are confirmed by the disk before the first one is put in place."""
        for each in self._written:
            each.result()
        while self._held:
            held = self._held[0]
            held.superseded.put_in_place(self._connection)
            files.replace(held.day.unfinished, held.day.path)
            self._held.pop(0)
            self._done(held.day.copies)


def _folded_together(connection: duckdb.DuckDBPyConnection, group: list[_Day]) -> list[_Held]:
    held, contested = _held(group)
    _fold_contested(connection, held, contested)
    return held


def _held(group: list[_Day]) -> tuple[list[_Held], pa.Table]:
    """The days, and the rows of interactions with several copies, of whichever day."""
    tables, ends, first_known = [], [], [0]
    for day in group:
        tables += [_known(day.path, first_known[-1])] if day.known_rows else []
        tables.append(day.copies.table())
        ends.append(sum(table.num_rows for table in tables))
        first_known.append(first_known[-1] + day.known_rows)
    rows = pa.concat_tables(tables)
    is_contested = _is_contested(rows["interaction_id"])
    contested = rows.slice(0, 0)
    if is_contested.any():
        contested = rows.filter(pa.array(is_contested))
        rows = rows.filter(pa.array(~is_contested))
        ends = [end - int(np.count_nonzero(is_contested[:end])) for end in ends]
    alone = _folded_alone(rows)
    held = [
        _Held(
            day,
            versions.Superseded(day.path, day.versions),
            alone.slice(start, end - start),
            first,
        )
        for day, start, end, first in zip(group, [0, *ends], ends, first_known, strict=False)
    ]
    return held, contested


def _known(path: Path, first: int) -> pa.Table:
    """The rows of a day's file. A copy id below 0 says where a row is, over all days held."""
    with damage.reading(path):
        known = damage.read(path, OBSERVATIONS)
    ids = -1 - np.arange(first, first + known.num_rows)
    return known.append_column(SPLIT.field(COPY_ID), pa.array(ids))


def _is_contested(ids: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Where an interaction has several copies; under whichever names each was asked for. One that
    was moved to another day looks so too: folding tells the days apart."""
    numbers = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    is_contested: npt.NDArray[np.bool_] = (
        np.bincount(numbers)[numbers] > 1 if len(numbers) else (np.zeros(0, np.bool_))
    )
    return is_contested


def _folded_alone(rows: pa.Table) -> pa.Table:
    """What folding makes of copies that are their interactions' only ones."""
    is_named = pc.is_valid(rows["contact_id"])
    seen = pc.if_else(is_named, rows["contact_seen_at"], None)
    since = pc.coalesce(rows["unchanged_since"], rows["first_seen_at"])
    is_known = pc.less(rows[COPY_ID], 0)
    changed = {
        "contact_seen_at": pc.coalesce(seen, rows["last_seen_at"]),
        "unchanged_since": pc.if_else(is_known, rows["unchanged_since"], since),
        "superseded_at": pa.nulls(rows.num_rows, MOMENT),
    }
    return pa.table(
        [changed.get(name, rows[name]) for name in OBSERVATIONS.names], schema=OBSERVATIONS
    )


def _fold_contested(
    connection: duckdb.DuckDBPyConnection, held: list[_Held], contested: pa.Table
) -> None:
    if not contested.num_rows:
        return
    shares = database.shares(contested.num_rows)
    copies = f"(select *, {_KNOWN_CONTENT} from arrived)"
    for share in range(shares):
        connection.register("arrived", contested)
        _choose(connection, copies, share, shares)
        folded = connection.sql(
            folding.folded(copies, "chosen", _SINCE, _SUPERSEDED)
        ).to_arrow_table()
        connection.unregister("arrived")
        for each in held:
            its = folded.filter(pc.equal(folded["window_date"], pa.scalar(each.day.copies.day)))
            each.folded.append(its.select(OBSERVATIONS.names).cast(OBSERVATIONS))
            each.superseded.take(connection, _superseded(its, each.first_known))
    connection.execute("drop table if exists chosen")


def _write(held: _Held) -> None:
    files.write_table(pa.concat_tables([held.alone, *held.folded]), held.day.unfinished)


# -- a day by itself ------------------------------------------------------------------------------


def _put_large_in_place(connection: duckdb.DuckDBPyConnection, day: _Day) -> None:
    superseded = versions.Superseded(day.path, day.versions)
    with (
        files.gone_if_unfinished(day.unfinished),
        database.translating(str(day.path)),
        files.storing(day.path),
        files.private(day.unfinished) as file,
    ):
        with pq.ParquetWriter(file, OBSERVATIONS, **files.PARQUET) as writer:
            for batch in _folded(connection, day, superseded):
                writer.write_batch(batch)
        files.sync(file)
    superseded.put_in_place(connection)
    files.replace(day.unfinished, day.path)


def _folded(
    connection: duckdb.DuckDBPyConnection, day: _Day, superseded: versions.Superseded
) -> Iterator[pa.RecordBatch]:
    known, fresh = day.path if day.known_rows else None, day.copies
    copies = f"(select *, null::ubigint as known_content from arrived {_known_copies(known)})"
    shares = database.shares(fresh.rows + day.known_rows)
    for share in range(shares):
        with fresh.batches() as reader:
            connection.register("arrived", reader)
            _choose(connection, copies, share, shares)
        with fresh.batches() as reader:
            connection.register("arrived", reader)
            result = connection.sql(folding.folded(copies, "chosen", _SINCE, _SUPERSEDED))
            found = []
            for batch in result.to_arrow_reader(fresh.batch_rows):
                yield batch.select(OBSERVATIONS.names).cast(OBSERVATIONS)
                found.append(_superseded(pa.Table.from_batches([batch]), 0))
        connection.unregister("arrived")
        superseded.take(connection, pa.concat_tables(found) if found else _FOUND.empty_table())
    connection.execute("drop table if exists chosen")


def _known_copies(known: Path | None) -> str:
    if known is None:
        return ""
    return (
        f"union all by name select *, -1 - file_row_number as {COPY_ID}, "
        f"{_CONTENT} as known_content from read_parquet({quote(str(known))})"
    )


# -- folding --------------------------------------------------------------------------------------

_CONTENT = folding.content()
_KNOWN_CONTENT = f"case when {COPY_ID} < 0 then {_CONTENT} end as known_content"
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
_SUPERSEDED = f", case when {_IS_CHANGED} then -1 - won.known_copy_id end as superseded_row"
_FOUND = pa.schema([("row", pa.int64()), ("superseded_at", MOMENT)])


def _choose(connection: duckdb.DuckDBPyConnection, copies: str, share: int, shares: int) -> None:
    """The winners among this share of the copies, as the table `chosen`."""
    of_share = f"{copies} where hash(interaction_id) % {shares} = {share}"
    connection.execute(
        f"create or replace temp table chosen as {folding.winners(of_share, KEY, _HISTORY)}"
    )


def _superseded(rows: pa.Table, first_known: int) -> pa.Table:
    """Which rows of the file that was are superseded by these, and when that was seen."""
    found = rows.select(["superseded_row", "unchanged_since"]).rename_columns(_FOUND.names)
    found = found.filter(pc.is_valid(found["row"])).cast(_FOUND)
    return found.set_column(0, _FOUND.field("row"), pc.subtract(found["row"], first_known))
