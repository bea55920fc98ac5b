"""What the machine puts in the way of storing, and what the operator does about it.

Knows the error numbers of the file system, and the texts in which DuckDB and SQLite hide them.
"""

from __future__ import annotations

import errno
import os

from history_pipeline.errors import StorageError, Unwritable

_REMEDIES = {
    errno.ENOSPC: "make room, and the same command goes on",
    errno.EDQUOT: "make room, and the same command goes on",
    errno.EROFS: "have it mounted writable, and the same command goes on",
    errno.EIO: "the disk fails; mend it, and the same command goes on",
}
_TEXTS = {
    **{os.strerror(number): number for number in _REMEDIES},
    "database or disk is full": errno.ENOSPC,
    # SQLite's, where a file beside the database finds no room
    "disk I/O error": errno.ENOSPC,
    "unable to open database file": errno.ENOSPC,
    "readonly database": errno.EROFS,
    # DuckDB spills no more than 90 % of what the disk had left
    "max_temp_directory_size": errno.ENOSPC,
}


def is_known(number: int | None) -> bool:
    return number in _REMEDIES


def error(doing: str, number: int | None, otherwise: str) -> StorageError:
    """What to raise where this could not be done: Unwritable, with what to do about it, where the
    number is one of these; `otherwise` is the reason to give where it is not."""
    if number is None or number not in _REMEDIES:
        return StorageError(f"cannot {doing}: {otherwise}")
    return Unwritable(f"cannot {doing}: {os.strerror(number)}; {_REMEDIES[number]}")


def number_in(text: str) -> int | None:
    """The error number that a foreign text speaks of."""
    return next((number for words, number in _TEXTS.items() if words in text), None)
