"""Which file of the lake is damaged, and what the operator does about it.

It is looked for where something could not be read, because DuckDB's errors quote values and are
not passed on, and its readers check no sums.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.errors import Damaged, MemoryExhausted, StorageError, Unwritable
from history_pipeline.storage import files

_BATCH_ROWS = 10_000


def read(path: Path, schema: pa.Schema) -> pa.Table:
    """A Parquet file, its sums checked; a column that it does not have yet is null. Raises OSError
    or ArrowException where it is damaged."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        found = file.read()
    columns = [
        found[column.name]
        if column.name in found.column_names
        else pa.nulls(found.num_rows, column.type)
        for column in schema
    ]
    return pa.table(columns, names=schema.names).cast(schema)


def read_columns(path: Path, columns: list[str]) -> pa.Table:
    """The same of some columns, as they were written; for many small files this is the faster."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        return file.read(columns, use_threads=False)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translates the errors of reading a file, for `looked_for` to look at it."""
    try:
        yield
    except (OSError, pa.ArrowException) as exc:
        raise StorageError(f"{path} cannot be read: {type(exc).__name__}") from exc


@contextlib.contextmanager
def of_part(part: Path) -> Iterator[None]:
    """Translates the errors of reading one."""
    try:
        yield
    except (OSError, pa.ArrowException) as exc:
        raise Damaged(f"{part} is damaged: remove it, and what it held is asked for again") from exc


@contextlib.contextmanager
def of_attempt(directory: Path) -> Iterator[None]:
    """Translates the errors of reading what a run has noted at its start."""
    try:
        yield
    except (OSError, pa.ArrowException, Damaged) as exc:
        raise Damaged(f"{directory} is damaged: remove it, and a new run begins") from exc


@contextlib.contextmanager
def of_contact_list(path: Path) -> Iterator[None]:
    """Translates the errors of reading it."""
    try:
        yield
    except (OSError, pa.ArrowException) as exc:
        raise Damaged(
            f"{path} is damaged: put a copy of it back, or remove it, and the list is read anew, "
            "without the contacts that it does not hold any more"
        ) from exc


@contextlib.contextmanager
def looked_for(
    *,
    parts: Iterable[Path] = (),
    days: Iterable[Path] = (),
    ledgers: Iterable[Path] = (),
    contact_lists: Iterable[Path] = (),
    discoveries: Iterable[Path] = (),
) -> Iterator[None]:
    """Where the block fails, and one of these that it has read is damaged, that is the error."""
    try:
        yield
    except (Unwritable, MemoryExhausted):
        raise
    except StorageError as exc:
        for part in filter(_holds_damage, parts):
            with of_part(part):
                raise OSError from exc
        for path in filter(_is_damaged, contact_lists):
            with of_contact_list(path):
                raise OSError from exc
        for path in filter(_is_damaged, days):
            raise Damaged(f"{path} is damaged: {_of_days(path.stem, path.stem)}") from exc
        for path in filter(_is_damaged, discoveries):
            raise Damaged(
                f"{path} is damaged: put a copy of it back, or remove it; nothing but the account "
                "of what that run asked to find out who was active is in it"
            ) from exc
        for directory in filter(_holds_damage, ledgers):
            _, first, end = directory.name.rsplit(".", 2)
            last = date.fromordinal(date.fromisoformat(end).toordinal() - 1)
            raise Damaged(f"{directory} is damaged: {_of_days(first, last.isoformat())}") from exc
        raise


def _of_days(first: str, last: str) -> str:
    return (
        "put a copy of it back, or remove it and ask for its days again: history-pipeline "
        f"backfill --from {first} --to {last}"
    )


def _holds_damage(directory: Path) -> bool:
    """Every part and every window has a ledger; one that was killed has none of its names."""
    tables = sorted(directory.glob("*.parquet"))
    if not (directory / "ledger.parquet").exists() or any(map(_is_damaged, tables)):
        return True
    try:
        files.read_json(directory / "run.json")
    except Damaged:
        return True
    return False


def _is_damaged(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for _ in file.iter_batches(_BATCH_ROWS):
                pass
    except (OSError, pa.ArrowException):
        return True
    return False
