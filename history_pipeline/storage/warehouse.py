"""The lake into the warehouse: whatever the lake has and the warehouse has not.

One transaction per load, one writer at a time. Day files and contacts are replaced in the lake,
so a file is known by path, size and time of change; ledgers never change once they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from history_pipeline.errors import MemoryExhausted, StorageError
from history_pipeline.storage import (
    certificates,
    coverage,
    damage,
    database,
    discovery,
    files,
    locks,
    open_interactions,
    parts,
    warehouse_days,
)
from history_pipeline.storage.certificates import Certificate
from history_pipeline.storage.database import paths
from history_pipeline.storage.layout import Layout

WAREHOUSE_FORMAT = 3
LEDGER_DAYS = 30


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load did, and what the warehouse holds after it."""

    day_files: int
    windows: int
    interactions: int
    attributes: int
    rejects: int
    contacts: int
    certificates: tuple[Certificate, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True, slots=True)
class _LakeFile:
    path: Path
    relative: str
    size: int
    modified_ns: int


@contextmanager
def writing(layout: Layout, purpose: str, deadline: float | None = None) -> Iterator[None]:
    """Holds the warehouse's lock: whoever writes to it, dbt included, does so in here."""
    seconds = locks.patience() if deadline is None else deadline
    with locks.exclusive(layout.warehouse_lock, purpose, seconds):
        yield


def load(layout: Layout, now: datetime) -> Loaded:
    """Loads what is new in the lake. Loading nothing new changes nothing. A warehouse of an older
    format is made anew."""
    with writing(layout, "loading the warehouse"):
        if layout.warehouse.exists() and _format_of(layout) < WAREHOUSE_FORMAT:
            return _rebuild(layout, now)
        return _load(layout, layout.warehouse, now)


def rebuild(layout: Layout, now: datetime) -> Loaded:
    """Makes the warehouse anew from the lake alone, and puts it in place of the one that is there,
    which stays as it is until then."""
    with writing(layout, "rebuilding the warehouse"):
        return _rebuild(layout, now)


def _rebuild(layout: Layout, now: datetime) -> Loaded:
    fresh = layout.warehouse.with_name(f".{layout.warehouse.name}.new")
    for leftover in (fresh, _log_of(fresh)):
        files.remove_tree(leftover)
    with files.gone_if_unfinished(fresh, _log_of(fresh)):
        loaded = _load(layout, fresh, now)
    # what is not in the old file yet belongs to that file; it would spoil the new one
    files.remove_tree(_log_of(layout.warehouse))
    files.replace(fresh, layout.warehouse)
    return loaded


def _format_of(layout: Layout) -> int:
    """The format that the warehouse was written in. One that was killed before its first load was
    whole has none yet, and is as good as the newest. Raises StorageError for a newer one."""
    with database.writing(layout.warehouse, layout.scratch) as connection:
        _prepare(connection)
        found = _one(connection, "select format from raw_gws.load_state")
    if found > WAREHOUSE_FORMAT:
        raise StorageError(
            f"the warehouse has format {found}, this version writes {WAREHOUSE_FORMAT}: it was "
            "written by a newer one; update, or make it anew with history-pipeline rebuild"
        )
    return found


def _load(layout: Layout, path: Path, now: datetime) -> Loaded:
    """In little memory; where that does not do, nothing was committed, and it is done in more."""
    try:
        return _load_within(database.LOAD_MEMORY_LIMIT, layout, path, now)
    except MemoryExhausted:
        return _load_within(database.MEMORY_LIMIT, layout, path, now)


def _load_within(memory_limit: str, layout: Layout, path: Path, now: datetime) -> Loaded:
    with database.writing(path, layout.scratch, memory_limit=memory_limit) as connection:
        _prepare(connection)
        days, versions, windows, contacts, resolved, discoveries = _news(connection, layout)
        connection.execute("begin transaction")
        ledgers = [window.path for window in windows]
        with (
            damage.looked_for(days=[*layout.day_files(), *layout.version_files()], ledgers=ledgers),
            database.translating(str(path), path),
        ):
            warehouse_days.load(connection, layout, [file.path for file in days])
            warehouse_days.load_versions(connection, [file.path for file in versions])
            _load_windows(connection, layout, ledgers)
        with damage.looked_for(contact_lists=[file.path for file in contacts]):
            _load_contacts(connection, layout, contacts)
        asked = [file.path for file in discoveries]
        with damage.looked_for(discoveries=asked), database.translating(str(path), path):
            discovery.load(connection, asked)
        fresh = [*days, *versions, *windows, *contacts, *resolved, *discoveries]
        given: list[Certificate] = []
        if fresh:
            _resolve_rejects(connection, layout)
            open_interactions.forget_ended(connection)
            _prune_ledger(connection, now)
            _remember(connection, fresh, now)
            given = certificates.take(connection, layout, ledgers, now)
            connection.execute("update raw_gws.load_state set loads = loads + 1")
        connection.execute("commit")
        certificates.keep(connection, layout)
        loaded = _count(connection, len(days), len(windows), given)
        # it is loaded: memory that is short now is no reason to begin again, and publishing does it
        with suppress(duckdb.OutOfMemoryException):
            connection.execute("checkpoint")
    path.chmod(0o600)
    return loaded


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    ddl = resources.files("history_pipeline.storage").joinpath("schema.sql").read_text("utf-8")
    connection.execute(ddl)
    known = connection.execute("select format from raw_gws.load_state").fetchone()
    if known is None:
        connection.execute(
            "insert into raw_gws.load_state values (0, 0, ?, null)", [WAREHOUSE_FORMAT]
        )


def _news(connection: duckdb.DuckDBPyConnection, layout: Layout) -> tuple[list[_LakeFile], ...]:
    """Days, versions, windows, contacts, resolved rejects and discoveries."""
    known = {
        path: (size, modified)
        for path, size, modified in connection.execute(
            "select path, size, modified_ns from raw_gws.loaded_files"
        ).fetchall()
    }

    def fresh(found: list[Path]) -> list[_LakeFile]:
        candidates = (_stat(layout, path) for path in found)
        return [
            file for file in candidates if known.get(file.relative) != (file.size, file.modified_ns)
        ]

    return (
        fresh(layout.day_files()),
        fresh(layout.version_files()),
        fresh(layout.window_ledgers()),
        fresh([layout.contacts] if layout.contacts.exists() else []),
        fresh([layout.resolved] if layout.resolved.exists() else []),
        fresh(layout.discovery_ledgers()),
    )


def _stat(layout: Layout, path: Path) -> _LakeFile:
    # a directory's own size and time change with the file system; its marker's do not
    facts = (path / "run.json" if path.is_dir() else path).stat()
    return _LakeFile(path, str(path.relative_to(layout.lake)), facts.st_size, facts.st_mtime_ns)


def _load_windows(
    connection: duckdb.DuckDBPyConnection, layout: Layout, directories: list[Path]
) -> None:
    """In the order in which they ended; but those whose days were cut in another zone go first,
    and prove less than those after them."""
    zone = (files.read_json(layout.identity) or {}).get("zone")
    found = [(files.read_json(directory / "run.json"), directory) for directory in directories]
    found.sort(key=lambda each: (str(each[0]["finished_at"]), each[1].name))
    ours = [each for each in found if zone in (None, each[0]["scope"]["server_timezone"])]
    others = [each for each in found if each not in ours]
    for run, directory in others:
        _load_window(connection, directory, run)
    if others:
        coverage.draw_in(connection)
    for run, directory in ours:
        _load_window(connection, directory, run)


def _load_window(
    connection: duckdb.DuckDBPyConnection, directory: Path, run: dict[str, Any]
) -> None:
    scope = run["scope"]
    facts = [run["run_id"], run["window_start"], run["window_end"]]
    connection.execute(
        "delete from raw_gws.runs where run_id = ? and window_start = ? and window_end = ?", facts
    )
    connection.execute(
        "delete from raw_gws.run_scopes where run_id = ? and window_start = ? and window_end = ?",
        facts,
    )
    for account in run["accounts"]:
        counts = [
            account[name]
            for name in (
                "planned",
                "answered",
                "unavailable",
                "gone",
                "failed",
                "interactions",
                "rejects",
            )
        ]
        connection.execute(
            f"insert into raw_gws.runs values ({', '.join('?' * 14)})",
            [
                *facts,
                account["source"],
                *counts,
                run["fingerprint"],
                run["started_at"],
                run["finished_at"],
            ],
        )
    if _claims(run):
        connection.execute(
            f"insert into raw_gws.run_scopes values ({', '.join('?' * 9)})",
            [
                *facts,
                scope["contact_source"],
                scope["is_whole"],
                run["is_discovery_complete"],
                scope["custom_attributes"],
                scope["server_timezone"],
                run["started_at"],
            ],
        )
    _load_requests(connection, directory, run)
    if (directory / parts.REJECTS_FILE).exists():
        _load_rejects(connection, directory)


def _claims(run: dict[str, Any]) -> bool:
    """One that asked again for what was open keeps no more than that of its answers: it proves
    nothing of its days, and spoils nothing."""
    return not run["scope"].get("is_again", False)


def _load_requests(
    connection: duckdb.DuckDBPyConnection, directory: Path, run: dict[str, Any]
) -> None:
    connection.execute(
        f"""
        create or replace temp table requests as
        select ? as run_id, * from read_parquet({paths([directory / parts.LEDGER_FILE])})
        """,
        [run["run_id"]],
    )
    connection.execute("""
        delete from raw_gws.requests
        where run_id = (select any_value(run_id) from requests)
            and window_start = (select any_value(window_start) from requests);
        insert into raw_gws.requests by name from requests;
    """)
    if _claims(run):
        coverage.merge(
            connection,
            start=str(run["window_start"]),
            end=str(run["window_end"]),
            is_whole=bool(run["scope"]["is_whole"]),
        )
    open_interactions.note_asked(connection)
    connection.execute("drop table requests")


def _load_rejects(connection: duckdb.DuckDBPyConnection, directory: Path) -> None:
    connection.execute(f"""
        insert into raw_gws.rejects
        select reject_id, reason, requested_contact_id, window_start, source, payload, seen_at, null
        from read_parquet({paths([directory / parts.REJECTS_FILE])})
        anti join raw_gws.rejects using (reject_id)
    """)


def _resolve_rejects(connection: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    """A record is resolved when it was read again, or when its source has sent the interaction
    readable since."""
    if layout.resolved.exists():
        connection.execute(f"""
            update raw_gws.rejects set resolved_at = noted.resolved_at
            from (
                select reject_id, min(resolved_at) as resolved_at
                from read_parquet({paths([layout.resolved])}) group by reject_id
            ) as noted
            where rejects.reject_id = noted.reject_id and rejects.resolved_at is null
        """)
    connection.execute("""
        update raw_gws.rejects set resolved_at = landed.last_seen_at
        from raw_gws.interactions as landed
        where rejects.resolved_at is null
            and landed.interaction_id = case when json_valid(rejects.payload)
                then json_extract_string(rejects.payload, '$.id') end
            and landed.last_seen_at > rejects.seen_at
            and case rejects.source when 'main' then landed.seen_in_main
                else landed.seen_in_archive end
    """)


def _load_contacts(
    connection: duckdb.DuckDBPyConnection, layout: Layout, lists: list[_LakeFile]
) -> None:
    if not lists:
        return
    with database.translating(str(layout.warehouse), layout.warehouse):
        connection.execute(f"""
            delete from raw_gws.contacts;
            insert into raw_gws.contacts by name
            from read_parquet({paths([file.path for file in lists])});
        """)


def _prune_ledger(connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
    """Keeps the last 30 days' requests, those of discovery too, and every failure until a later
    answer for that contact and source covers its days. Whether a discovery was whole is kept with
    its run, for ever."""
    connection.execute(
        f"""
        delete from raw_gws.discovery_requests
        where finished_at < ?::timestamptz - interval {LEDGER_DAYS} day
        """,
        [now],
    )
    connection.execute(
        f"""
        delete from raw_gws.requests as old
        where finished_at < ?::timestamptz - interval {LEDGER_DAYS} day
            and (state <> 'failed' or exists (
                from raw_gws.coverage as covered
                where covered.contact_id = old.contact_id and covered.source = old.source
                    and covered.state = 'answered' and covered.finished_at > old.finished_at
                    and covered.span_start <= old.window_start
                    and covered.span_end >= old.window_end
            ) or exists (
                from raw_gws.requests as later
                where later.contact_id = old.contact_id and later.source = old.source
                    and later.state = 'answered' and later.finished_at > old.finished_at
                    and later.window_start <= old.window_start
                    and later.window_end >= old.window_end
            ))
        """,
        [now],
    )


def _remember(connection: duckdb.DuckDBPyConnection, fresh: list[_LakeFile], now: datetime) -> None:
    connection.execute(
        "delete from raw_gws.loaded_files where path in (select unnest(?))",
        [[file.relative for file in fresh]],
    )
    connection.executemany(
        "insert into raw_gws.loaded_files values (?, ?, ?, ?)",
        [[file.relative, file.size, file.modified_ns, now] for file in fresh],
    )


def _count(
    connection: duckdb.DuckDBPyConnection, day_files: int, windows: int, given: list[Certificate]
) -> Loaded:
    counts = [
        _one(connection, f"select count(*) from raw_gws.{table}")
        for table in ("interactions", "interaction_attributes", "rejects", "contacts")
    ]
    return Loaded(day_files, windows, *counts, certificates=tuple(given))


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
