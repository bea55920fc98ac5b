"""Opening DuckDB: limits, private temporary files, no downloads, and errors translated."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from history_pipeline.errors import LockTimeout, MemoryExhausted, StorageError
from history_pipeline.storage import files, locks, memory, obstacles

T = TypeVar("T")

MEMORY_LIMIT = os.environ.get("HISTORY_DUCKDB_MEMORY", "1GB")
LAKE_MEMORY_LIMIT = "64MB"
"""For work on files of the lake while a run goes on: it spills, and memory stays flat."""

LOAD_MEMORY_LIMIT = os.environ.get("HISTORY_DUCKDB_MEMORY", "112MB")
"""For loading: what is too much for it goes to `scratch`, which costs a tenth of the time."""

ROWS_AT_ONCE = 50_000
BYTES_AT_ONCE = 12 * 1024 * 1024
"""What is grouped at a time within LAKE_MEMORY_LIMIT, with room to spare."""

log = logging.getLogger(__name__)

_LOOKS = 0.2
"""Seconds between two tries at a file that somebody has open."""

_HOLDER = re.compile(r"lock is held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")
_IF_DAMAGED = "if it is damaged, history-pipeline rebuild makes it anew from the lake"

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
            memory.give_back()


def in_little_memory(scratch: Path, work: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
    """What `work` returns, done in LAKE_MEMORY_LIMIT; where that does not do, it is done again in
    MEMORY_LIMIT. So `work` must be able to start anew."""
    try:
        with in_memory(scratch) as connection:
            return work(connection)
    except MemoryExhausted:
        with in_memory(scratch, MEMORY_LIMIT) as connection:
            return work(connection)


def writing(
    path: Path,
    scratch: Path,
    patience: float | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]:
    """The warehouse, made where it is absent, with its tables in the default catalog. Waits
    `patience` seconds at most for another process that has it open, then LockTimeout."""
    return _attached(path, f"storage_version '{STORAGE_VERSION}'", scratch, patience, memory_limit)


def reading(
    path: Path, scratch: Path, patience: float | None = None
) -> contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]:
    """A DuckDB file to read only, in the default catalog. Waits like `writing`."""
    return _attached(path, "read_only", scratch, patience)


@contextlib.contextmanager
def _attached(
    path: Path,
    options: str,
    scratch: Path,
    patience: float | None,
    memory_limit: str = MEMORY_LIMIT,
) -> Iterator[duckdb.DuckDBPyConnection]:
    files.make_directory(scratch)
    with translating(str(path), path):
        connection = duckdb.connect(":memory:", config=_config(scratch, memory_limit))
        try:
            connection.execute("set TimeZone = 'UTC'")
            statement = f"attach {quote(str(path))} as opened ({options})"
            _attach(connection, statement, path, locks.patience() if patience is None else patience)
            connection.execute("use opened")
            yield connection
        finally:
            connection.close()
            memory.give_back()


def _attach(
    connection: duckdb.DuckDBPyConnection, statement: str, path: Path, patience: float
) -> None:
    """Our own processes take turns by the lock file; somebody else's DuckDB is waited for here."""
    began = time.monotonic()
    is_said = False
    while True:
        try:
            connection.execute(statement)
        except duckdb.IOException as exc:
            holder = _HOLDER.search(str(exc))
            if holder is None:
                raise
            waited = time.monotonic() - began
            who = f"{path.name} is held by process {holder['pid']} ({holder['program']})"
            if waited >= patience:
                raise LockTimeout(
                    f"{who}; waited {patience:g} s; end that, and the same command goes on"
                ) from exc
            if waited >= locks.UNTIL_SAID and not is_said:
                log.warning("%s; waiting %g s for it", who, patience)
                is_said = True
            time.sleep(_LOOKS)
        else:
            return


@contextlib.contextmanager
def translating(what: str, database_file: Path | None = None) -> Iterator[None]:
    """Of an error that no disk and no lock explains, the file itself may be the cause."""
    try:
        yield
    except duckdb.Error as exc:
        number = obstacles.number_in(str(exc))
        if number is not None:
            raise obstacles.error(f"store {what}", number, _first_line(exc)) from exc
        if isinstance(exc, duckdb.OutOfMemoryException):
            raise MemoryExhausted(f"DuckDB ran out of memory on {what}") from exc
        advice = f"; {_IF_DAMAGED}" if database_file is not None else ""
        raise StorageError(f"DuckDB failed on {what}: {_first_line(exc)}{advice}") from exc


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """A query's rows, by the names of its columns."""
    result = connection.execute(query)
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


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
