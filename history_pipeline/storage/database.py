"""Opening DuckDB: limits, private temporary files, no downloads, and errors translated."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import duckdb

from history_pipeline.errors import MemoryExhausted, StorageError
from history_pipeline.storage import files

T = TypeVar("T")

MEMORY_LIMIT = os.environ.get("HISTORY_DUCKDB_MEMORY", "1GB")
LAKE_MEMORY_LIMIT = "64MB"
"""For work on files of the lake while a run goes on: it spills, and memory stays flat."""

ROWS_AT_ONCE = 50_000
BYTES_AT_ONCE = 12 * 1024 * 1024
"""What is grouped at a time within LAKE_MEMORY_LIMIT."""

STORAGE_VERSION = "v1.2.0"
"""What analysts' older DuckDB versions can read."""


@contextlib.contextmanager
def in_memory(
    scratch: Path, memory_limit: str = LAKE_MEMORY_LIMIT
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database for work on Parquet files; spills into `scratch`. Raises MemoryExhausted where
    the limit does not do."""
    files.make_directory(scratch)
    with translating("the lake"):
        connection = duckdb.connect(":memory:", config=_config(scratch, memory_limit))
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()


def in_little_memory(scratch: Path, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """What `work` returns, done in LAKE_MEMORY_LIMIT; where that does not do, it is done again in
    MEMORY_LIMIT. So `work` must be able to start anew."""
    try:
        with in_memory(scratch) as connection:
            return work(connection)
    except MemoryExhausted:
        with in_memory(scratch, MEMORY_LIMIT) as connection:
            return work(connection)


@contextlib.contextmanager
def writing(path: Path, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse, made where it is absent, with its tables in the default catalog."""
    files.make_directory(scratch)
    with translating(str(path)):
        connection = duckdb.connect(":memory:", config=_config(scratch))
        try:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(
                f"attach {quote(str(path))} as warehouse (storage_version '{STORAGE_VERSION}')"
            )
            connection.execute("use warehouse")
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def reading(path: Path, scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB file to read only, in the default catalog."""
    files.make_directory(scratch)
    with translating(str(path)):
        connection = duckdb.connect(":memory:", config=_config(scratch))
        try:
            connection.execute("set TimeZone = 'UTC'")
            connection.execute(f"attach {quote(str(path))} as opened (read_only)")
            connection.execute("use opened")
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def translating(what: str) -> Iterator[None]:
    try:
        yield
    except duckdb.OutOfMemoryException as exc:
        raise MemoryExhausted(f"DuckDB ran out of memory on {what}") from exc
    except duckdb.Error as exc:
        raise StorageError(f"DuckDB failed on {what}: {_first_line(exc)}") from exc


def shares(rows: int, size: int = 0) -> int:
    """Into how many shares to cut rows by a hash of their key, so that grouping each fits the
    memory of `in_memory`: DuckDB's aggregates and windows spill late, or not at all. `size` is
    in bytes, where the rows are held whole."""
    return 1 + max(rows // ROWS_AT_ONCE, size // BYTES_AT_ONCE)


def quote(text: str) -> str:
    """A SQL text literal."""
    return "'" + text.replace("'", "''") + "'"


def paths(files_: list[Path]) -> str:
    """A SQL list of files."""
    return "[" + ", ".join(quote(str(path)) for path in files_) + "]"


def _config(
    scratch: Path, memory_limit: str = MEMORY_LIMIT
) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": memory_limit,
        "temp_directory": str(scratch),
        "threads": 2,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _first_line(exc: duckdb.Error) -> str:
    """Conversion errors quote the value that they failed on, so those say only what they are."""
    if isinstance(exc, duckdb.IOException | duckdb.CatalogException | duckdb.OutOfMemoryException):
        return str(exc).splitlines()[0]
    return type(exc).__name__
