"""Takes names out of what Dagster has kept: previews show interactions' ids.

Dagster has no means to change an event, so this writes to its SQLite files themselves. Only to
those in the project's own home: one that the user has set is never written to.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Set
from contextlib import closing
from pathlib import Path

from history_pipeline.errors import StorageError

_REDACTED = "[forgotten]"
_TEXT = re.compile(r'[^"\\]+')
"""What stands between quotes, in JSON that may itself be a text in JSON."""

_PATIENCE = 30.0


def redact(home: Path, names: Set[str]) -> int:
    """Replaces these names wherever a database below `home` holds one; returns how many values
    it changed. Raises StorageError where one is held by another process for too long."""
    changed = 0
    for path in sorted(home.rglob("*.db")):
        try:
            with closing(sqlite3.connect(path, timeout=_PATIENCE)) as connection:
                changed += _redact(connection, names)
        except sqlite3.Error as exc:
            raise StorageError(f"{path} cannot be changed: {exc}; stop Dagster's UI first") from exc
    return changed


def _redact(connection: sqlite3.Connection, names: Set[str]) -> int:
    changed = 0
    connection.execute("pragma secure_delete = on")
    for table, column in _columns(connection):
        rows = connection.execute(
            f'select rowid, "{column}" from "{table}" where typeof("{column}") = \'text\''
        )
        found = [
            (cleaned, rowid)
            for rowid, text in rows
            if (cleaned := _TEXT.sub(lambda part: _cleaned(part[0], names), text)) != text
        ]
        connection.executemany(f'update "{table}" set "{column}" = ? where rowid = ?', found)
        changed += len(found)
    connection.commit()
    if changed:
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
    return changed


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = connection.execute(
        "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
    ).fetchall()
    return [
        (table, column[1])
        for (table,) in tables
        for column in connection.execute(f'pragma table_info("{table}")').fetchall()
    ]


def _cleaned(text: str, names: Set[str]) -> str:
    return _REDACTED if text in names else text
