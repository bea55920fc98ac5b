"""A window's observations set apart by day, in one pass and in bounded memory.

Each day can then be folded by itself, however much the window holds. What is little stays in
memory. Knows parts and files; does not know which copy wins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from history_pipeline.storage import files
from history_pipeline.storage.schemas import OBSERVATIONS

COPY_ID = "copy_id"
SPLIT = OBSERVATIONS.append(pa.field(COPY_ID, pa.int64(), nullable=False))

HELD_BYTES = 8 * 1024 * 1024
"""Taken in before it is sorted by day. What is more goes to files."""

BATCH_BYTES = 4 * 1024 * 1024
"""Read at a time: rows can be large."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class DayCopies:
    """One day's observations, which can be read batch by batch, more than once. They are `held`,
    or in the file."""

    day: date
    path: Path
    rows: int
    bytes: int
    held: pa.Table | None = None

    @property
    def batch_rows(self) -> int:
        """As many of its rows as fit into BATCH_BYTES."""
        return max(256, min(16_384, BATCH_BYTES * self.rows // max(1, self.bytes)))

    @contextlib.contextmanager
    def batches(self) -> Any:
        if self.held is not None:
            yield self.held.to_reader(self.batch_rows)
            return
        with self.path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            yield reader

    def table(self) -> pa.Table:
        """All of it at once."""
        if self.held is not None:
            return self.held
        with self.batches() as reader:
            return reader.read_all()


def split_tables(tables: Iterable[pa.Table], directory: Path) -> list[DayCopies]:
    """The rows of tables with the columns OBSERVATIONS. What is too much to hold is left in
    `directory`, one file a day. Days ascending."""
    with Splitter(directory) as splitter:
        for table in tables:
            splitter.take(table)
        return splitter.days()


class Splitter:
    """Takes rows in, as they come, for `days` to give back. `with` closes its files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writers: dict[date, pa.ipc.RecordBatchStreamWriter] = {}
        self._sizes: dict[date, tuple[int, int]] = {}
        self._held: dict[date, list[pa.Table]] = {}
        self._held_bytes = 0
        self._seen = 0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        files.make_directory(self._directory)
        return self

    def __exit__(self, *_: object) -> None:
        with files.storing(self._directory):
            self._open.close()

    def take(self, table: pa.Table) -> None:
        """Rows with the columns OBSERVATIONS. Raises StorageError."""
        copy_ids = pa.array(np.arange(self._seen, self._seen + table.num_rows))
        self._seen += table.num_rows
        for day, rows in _by_day(table.append_column(SPLIT.field(COPY_ID), copy_ids)):
            self._held.setdefault(day, []).append(rows)
        self._held_bytes += table.nbytes
        if self._held_bytes >= HELD_BYTES:
            with files.storing(self._directory):
                self._flush()

    def days(self) -> list[DayCopies]:
        """What has been taken in; nothing more can be. Raises StorageError."""
        if self._writers:
            # closing writes what is still held in memory, so it can fail like writing
            with files.storing(self._directory), self._open:
                self._flush()
            return [
                DayCopies(day, self._path(day), *size) for day, size in sorted(self._sizes.items())
            ]
        return [
            DayCopies(day, self._path(day), rows.num_rows, rows.nbytes, rows)
            for day, rows in self._let_go()
        ]

    def _flush(self) -> None:
        for day, rows in self._let_go():
            self._write(day, rows)

    def _let_go(self) -> Iterator[tuple[date, pa.Table]]:
        """What is held, and is held no more then. In one piece: from many small ones whatever is
        done with it takes longer."""
        held, self._held, self._held_bytes = self._held, {}, 0
        for day in sorted(held):
            yield day, pa.concat_tables(held.pop(day)).combine_chunks()

    def _write(self, day: date, rows: pa.Table) -> None:
        writer = self._writers.get(day)
        if writer is None:
            file = self._open.enter_context(files.private(self._path(day)))
            writer = self._open.enter_context(pa.ipc.new_stream(file, SPLIT, options=_OPTIONS))
            self._writers[day] = writer
        writer.write_table(rows)
        count, size = self._sizes.get(day, (0, 0))
        self._sizes[day] = count + rows.num_rows, size + rows.nbytes

    def _path(self, day: date) -> Path:
        return self._directory / f"{day.isoformat()}.arrows"


def sorted_by_day(rows: pa.Table) -> pa.Table:
    """Rows of one day beside each other."""
    return rows.take(pc.sort_indices(rows, sort_keys=[("window_date", "ascending")]))


def _by_day(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The rows of each day. Where they are sorted already, nothing is copied."""
    numbers = rows["window_date"].cast(pa.int32()).to_numpy()
    if (np.diff(numbers) < 0).any():
        rows = sorted_by_day(rows)
    ends = pc.run_end_encode(rows["window_date"].combine_chunks())
    start = 0
    for day, end in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
        yield day, rows.slice(start, end - start)
        start = end
