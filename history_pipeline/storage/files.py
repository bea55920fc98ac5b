"""Files that are there whole or not at all.

Knows temporary names, fsync and rename; and that what is written belongs to its owner alone.
Foreign errors of the file system become StorageError here.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.errors import Damaged
from history_pipeline.storage import obstacles

OWNER_ONLY = 0o077

PARQUET: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    # a flipped bit would go unseen otherwise
    "write_page_checksum": True,
    # files are read whole: the smallest and largest value of each column would serve nobody
    "write_statistics": False,
    # for others it costs time, and the file grows: nearly all of their values differ
    "use_dictionary": [
        "media_type",
        "type_id",
        "state",
        "source",
        "asked",
        "error",
        "owner_id",
        "owner_user_name",
        "owner_first_name",
        "owner_last_name",
        "attributes.list.element.name",
        "attributes.list.element.value_type",
    ],
}


def keep_private() -> None:
    """From here on this process creates files for its owner alone."""
    os.umask(OWNER_ONLY)


@contextlib.contextmanager
def storing(what: Path) -> Iterator[None]:
    """Translates what the file system says into a StorageError that names the place."""
    try:
        yield
    except (OSError, pa.ArrowException) as exc:
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        number = exc.errno if isinstance(exc, OSError) else None
        raise obstacles.error(f"store {what}", number, reason) from exc


@contextlib.contextmanager
def gone_if_unfinished(*fresh: Path) -> Iterator[None]:
    """Where the block fails, what it was making does not take up the room that may be missing."""
    try:
        yield
    except BaseException:
        for path in fresh:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def make_directory(path: Path) -> None:
    with storing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_table(table: pa.Table, path: Path) -> None:
    """Writes Parquet and has the disk confirm it. Not atomic by itself."""
    with storing(path), private(path) as file:
        pq.write_table(table, file, **PARQUET)
        sync(file)


@contextlib.contextmanager
def private(path: Path) -> Iterator[IO[bytes]]:
    """A new or emptied file, for its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def replace(source: Path, target: Path) -> None:
    """Puts a finished file or directory in place atomically, and keeps the rename."""
    with storing(target):
        source.replace(target)
        sync_directory(target.parent)


def replace_table(table: pa.Table, path: Path) -> None:
    """Puts a Parquet file in place atomically."""
    make_directory(path.parent)
    fresh = path.with_name(f".{path.name}.new")
    write_table(table, fresh)
    replace(fresh, path)


def replace_json(value: Any, path: Path) -> None:
    replace_text(json.dumps(value, indent=2, sort_keys=True), path)


def replace_text(text: str, path: Path) -> None:
    make_directory(path.parent)
    fresh = path.with_name(f".{path.name}.new")
    with storing(path), private(fresh) as file:
        file.write(text.encode())
        sync(file)
    replace(fresh, path)


def read_json(path: Path) -> Any:
    """The value, or None where there is no file. Raises Damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise Damaged(f"{path} cannot be read: {type(exc).__name__}") from exc


def sync(file: IO[bytes]) -> None:
    """Has the disk confirm an open file."""
    file.flush()
    os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Has the disk confirm what somebody else, such as DuckDB, has written."""
    sync_directory(path)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    with storing(path):
        shutil.rmtree(path, ignore_errors=False) if path.is_dir() else path.unlink(missing_ok=True)
