"""The lake into the warehouse: whatever the lake has and the warehouse has not.

One transaction per load, one writer at a time. Day files and contacts are replaced in the lake,
so a file is known by path, size and time of change; ledgers never change once they are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from history_pipeline.errors import StorageError
from history_pipeline.storage import coverage, damage, database, files, locks, parts
from history_pipeline.storage.database import paths
from history_pipeline.storage.folding import WINNER_COLUMNS, content, folded, winners
from history_pipeline.storage.layout import Layout

WAREHOUSE_FORMAT = 2
ROWS_AT_ONCE = 500_000
"""Interactions of one share of a load: what is held of them while the best copies are chosen."""

LEDGER_DAYS = 30
_INTERNAL = ("observed_at", "run_at", "is_own", "attributes")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one load did, and what the warehouse holds after it."""

    day_files: int
    windows: int
    interactions: int
    attributes: int
    rejects: int
    contacts: int


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
    with database.writing(path, layout.scratch) as connection:
        _prepare(connection)
        days, versions, windows, contacts, resolved = _news(connection, layout)
        connection.execute("begin transaction")
        ledgers = [window.path for window in windows]
        with (
            damage.looked_for(days=[*layout.day_files(), *layout.version_files()], ledgers=ledgers),
            database.translating(str(path), path),
        ):
            _load_days(connection, layout, days)
            _load_versions(connection, [file.path for file in versions])
            _load_windows(connection, layout, ledgers)
        with damage.looked_for(contact_lists=[file.path for file in contacts]):
            _load_contacts(connection, layout, contacts)
        fresh = [*days, *versions, *windows, *contacts, *resolved]
        if fresh:
            _resolve_rejects(connection, layout)
            _prune_ledger(connection, now)
            _remember(connection, fresh, now)
            connection.execute("update raw_gws.load_state set loads = loads + 1")
        connection.execute("commit")
        loaded = _count(connection, len(days), len(windows))
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
        connection.execute("insert into raw_gws.load_state values (0, 0, ?)", [WAREHOUSE_FORMAT])


def _news(connection: duckdb.DuckDBPyConnection, layout: Layout) -> tuple[list[_LakeFile], ...]:
    """Days, versions, windows, contacts and resolved rejects."""
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
    )


def _stat(layout: Layout, path: Path) -> _LakeFile:
    # a directory's own size and time change with the file system; its marker's do not
    facts = (path / "run.json" if path.is_dir() else path).stat()
    return _LakeFile(path, str(path.relative_to(layout.lake)), facts.st_size, facts.st_mtime_ns)


def _load_days(
    connection: duckdb.DuckDBPyConnection, layout: Layout, days: list[_LakeFile]
) -> None:
    """Replaces the rows of every interaction in these days, a share of the interactions at a
    time, so that memory has a bound however many there are."""
    if not days:
        return
    found = f"read_parquet({paths([file.path for file in days])})"
    shares = 1 + _one(connection, f"select count(*) from {found}") // ROWS_AT_ONCE
    for share in range(shares):
        connection.execute(f"""
            create or replace temp table incoming as
            from {found} where hash(interaction_id) % {shares} = {share}
        """)
        _load_incoming(connection, layout, {file.path for file in days})


def _load_incoming(connection: duckdb.DuckDBPyConnection, layout: Layout, days: set[Path]) -> None:
    """A day's file is the union of all that was ever seen of it, so its rows stand by themselves,
    except for interactions whose day has changed: for those, every day that they were seen on is
    folded together."""
    others = _days_of_moved(connection, layout, days)
    if others:
        connection.execute(f"""
            insert into incoming by name
            from read_parquet({paths(others)})
            where interaction_id in (
                select interaction_id from raw_gws.moved_interactions
                semi join incoming using (interaction_id)
            )
        """)
    copies = "(select *, rowid as copy_id from incoming)"
    connection.execute(f"""
        create or replace temp table chosen as {winners(copies, "interaction_id")};
        create or replace temp table winners as {folded(copies, "chosen")};
        drop table chosen;
    """)
    _write_those_beside(connection)
    columns = ", ".join(
        row[0] for row in connection.execute("describe raw_gws.interactions").fetchall()
    )
    _write_attributes(connection)
    connection.execute(f"""
        delete from raw_gws.interactions
        using winners where winners.interaction_id = raw_gws.interactions.interaction_id;
        insert into raw_gws.interactions by name
        select {columns} from winners;
    """)
    connection.execute("drop table winners; drop table incoming;")


def _days_of_moved(
    connection: duckdb.DuckDBPyConnection, layout: Layout, incoming: set[Path]
) -> list[Path]:
    """Notes which incoming interactions were seen on several days; returns the others' files."""
    connection.execute("""
        create or replace temp table sighted_days as
        select distinct interaction_id, window_date from incoming
        union
        select old.interaction_id, old.window_date
        from raw_gws.interactions as old
        semi join incoming on incoming.interaction_id = old.interaction_id;

        insert into raw_gws.moved_interactions
        from sighted_days
        semi join (
            select interaction_id from sighted_days group by all having count(*) > 1
        ) as several using (interaction_id)
        anti join raw_gws.moved_interactions using (interaction_id, window_date);
    """)
    rows = connection.execute("""
        select distinct window_date from raw_gws.moved_interactions
        semi join incoming using (interaction_id)
    """).fetchall()
    connection.execute("drop table sighted_days")
    found = (layout.day(row[0]) for row in rows)
    return sorted(path for path in found if path not in incoming and path.exists())


def _write_those_beside(connection: duckdb.DuckDBPyConnection) -> None:
    """Copies that said something else before the winner was seen: those of other days, and those
    that were asked for other names. A fold of one day's file does not supersede them."""
    connection.execute(f"""
        delete from raw_gws.interaction_versions as old
        using winners where winners.interaction_id = old.interaction_id and old.is_beside;

        insert into raw_gws.interaction_versions by name
        select {_version_columns(connection, "lost")}, won.unchanged_since as superseded_at,
            true as is_beside
        from incoming as lost
        join winners as won using (interaction_id)
        where lost.unchanged_since < won.unchanged_since
            and {content("lost.{}".format)} <> {content("won.{}".format)};
    """)


def _load_versions(connection: duckdb.DuckDBPyConnection, files_: list[Path]) -> None:
    """A version file holds all versions of its day: it replaces what was loaded of it."""
    if not files_:
        return
    days = [[date.fromisoformat(path.stem)] for path in files_]
    connection.executemany(
        "delete from raw_gws.interaction_versions where window_date = ? and not is_beside", days
    )
    connection.execute(f"""
        insert into raw_gws.interaction_versions by name
        select {_version_columns(connection, "held")}, held.superseded_at, false as is_beside
        from read_parquet({paths(files_)}) as held
    """)


def _version_columns(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    described = connection.execute("describe raw_gws.interaction_versions").fetchall()
    return ", ".join(
        f"{relation}.{row[0]}" for row in described if row[0] not in ("superseded_at", "is_beside")
    )


def _write_attributes(connection: duckdb.DuckDBPyConnection) -> None:
    """Each name's value comes from the best copy whose request asked for the name (or that has
    it): a name that was asked for and is absent there is gone; one not asked for stays."""
    connection.execute("""
        create or replace temp table fresh_attributes as
        with copies as (
            select
                interaction_id, attributes, asked,
                {
                    'ended': ended_at is not null, 'run': run_at, 'main': source = 'main',
                    'own': is_own, 'seen': observed_at
                } as standing
            from incoming
        ),
        said as (
            select interaction_id, standing, item.name as name, item.value as value,
                item.value_type as value_type, true as is_present
            from copies, unnest(attributes) as listed(item)
            union all
            select interaction_id, standing, name, null, null, false
            from copies, unnest(from_json(asked, '["varchar"]')) as names(name)
        ),
        best as (
            select interaction_id, name,
                arg_max(
                    {'value': value, 'value_type': value_type, 'is_present': is_present},
                    {'standing': standing, 'is_present': is_present, 'value': value,
                     'value_type': value_type}
                ) as said
            from said group by all
        )
        select interaction_id, name, said.value as value, said.value_type as value_type
        from best where said.is_present;

        delete from raw_gws.interaction_attributes
        using winners
        where winners.interaction_id = raw_gws.interaction_attributes.interaction_id;

        insert into raw_gws.interaction_attributes by name from fresh_attributes;
        drop table fresh_attributes;
    """)


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
    scope = run["scope"]
    coverage.merge(
        connection,
        start=str(run["window_start"]),
        end=str(run["window_end"]),
        is_whole=bool(scope["is_whole"]),
    )
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
    """Keeps the last 30 days' requests, and every failure until a later answer for that contact
    and source covers its days."""
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


def _count(connection: duckdb.DuckDBPyConnection, day_files: int, windows: int) -> Loaded:
    counts = [
        _one(connection, f"select count(*) from raw_gws.{table}")
        for table in ("interactions", "interaction_attributes", "rejects", "contacts")
    ]
    return Loaded(day_files, windows, *counts)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


assert set(_INTERNAL) <= set(WINNER_COLUMNS)  # noqa: S101
