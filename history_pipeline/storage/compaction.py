"""A finished window's parts become day files and a ledger; the proof that none is missing.

A day's file is the union of what it held and the new answers: nothing that was loaded is deleted
by loading. Compaction repeated over the same parts gives the same files, so a kill in the middle
costs nothing. The ledger's directory is renamed into place last: with it the window is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from history_pipeline.errors import MemoryExhausted, StorageError
from history_pipeline.model import RequestState, Source, Window
from history_pipeline.storage import database, files, parts
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.database import paths, quote
from history_pipeline.storage.folding import fold
from history_pipeline.storage.layout import Layout

KEY = "interaction_id, asked, window_date"


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """How the requests of one window and source ended; the states add up to `planned`."""

    source: Source
    planned: int
    states: dict[RequestState, int]
    interactions: int
    rejects: int


def compact(
    layout: Layout,
    attempt: Attempt,
    window: Window,
    sources: tuple[Source, ...],
    scope: dict[str, object],
    now: datetime,
) -> list[SourceAccount]:
    """Puts the window's days and its ledger in place.

    Raises StorageError where a planned request is not accounted for exactly once: then the window
    stays unfinished, and nothing is taken for complete.
    """
    try:
        return _compact(layout, attempt, window, sources, scope, now, database.LAKE_MEMORY_LIMIT)
    except MemoryExhausted:
        return _compact(layout, attempt, window, sources, scope, now, database.MEMORY_LIMIT)


def _compact(
    layout: Layout,
    attempt: Attempt,
    window: Window,
    sources: tuple[Source, ...],
    scope: dict[str, object],
    now: datetime,
    memory_limit: str,
) -> list[SourceAccount]:
    directory = attempt.window_directory(window)
    written = parts.whole(directory)
    with database.in_memory(layout.scratch, memory_limit) as connection:
        _read_ledger(connection, attempt, written)
        accounts = _account(connection, attempt, window, sources)
        _write_days(connection, layout, written)
        _write_ledger(connection, layout, attempt, window, written, accounts, scope, now)
    if directory.exists():
        files.remove_tree(directory)
    return accounts


def _read_ledger(
    connection: duckdb.DuckDBPyConnection, attempt: Attempt, written: list[Path]
) -> None:
    ledgers = [part / parts.LEDGER_FILE for part in written]
    connection.execute(
        f"create temp table planned_contacts as from read_parquet("
        f"{quote(str(attempt.directory / 'contacts.parquet'))})"
    )
    if not ledgers:
        if attempt.contacts:
            raise StorageError("no part of this window is there")
        connection.execute(_EMPTY_LEDGER)
        return
    # a request that was put down twice, by a part written just before a kill, counts once
    connection.execute(f"""
        create temp table ledger as
        from read_parquet({paths(ledgers)})
        qualify row_number() over (
            partition by contact_id, source order by (state = 'answered') desc, finished_at desc
        ) = 1
    """)


_EMPTY_LEDGER = """
    create temp table ledger (
        contact_id varchar, window_start date, window_end date, source varchar, state varchar,
        interactions bigint, rejects bigint, attempts integer, seconds double, error varchar,
        finished_at timestamptz
    )
"""


def _account(
    connection: duckdb.DuckDBPyConnection,
    attempt: Attempt,
    window: Window,
    sources: tuple[Source, ...],
) -> list[SourceAccount]:
    accounts = []
    for source in sources:
        rows = connection.execute(
            """
            select state, count(*), sum(interactions), sum(rejects)
            from ledger semi join planned_contacts using (contact_id)
            where source = ? group by state
            """,
            [source.value],
        ).fetchall()
        states = {RequestState(state): count for state, count, _, _ in rows}
        if sum(states.values()) != attempt.contacts:
            raise StorageError(
                f"window {window}, {source.value}: {attempt.contacts} requests were planned, but "
                f"{sum(states.values())} are accounted for"
            )
        accounts.append(
            SourceAccount(
                source,
                attempt.contacts,
                {state: states.get(state, 0) for state in RequestState},
                int(sum(row[2] for row in rows)),
                int(sum(row[3] for row in rows)),
            )
        )
    return accounts


def _write_days(connection: duckdb.DuckDBPyConnection, layout: Layout, written: list[Path]) -> None:
    fresh = [part / parts.OBSERVATIONS_FILE for part in written]
    fresh = [path for path in fresh if path.exists()]
    if not fresh:
        return
    connection.execute(f"create temp view fresh as from read_parquet({paths(fresh)})")
    days: list[date] = [
        row[0]
        for row in connection.execute(
            "select distinct window_date from fresh order by 1"
        ).fetchall()
    ]
    known = [layout.day(day) for day in days if layout.day(day).exists()]
    old = f"union all by name from read_parquet({paths(known)})" if known else ""
    connection.execute(f"create temp view copies as from fresh {old}")
    connection.execute(f"create temp table folded as {fold('copies', KEY)}")
    for day in days:
        _write_day(connection, layout.day(day), day)


def _write_day(connection: duckdb.DuckDBPyConnection, path: Path, day: date) -> None:
    files.make_directory(path.parent)
    fresh = path.with_name(f".{path.name}.new")
    connection.execute(f"""
        copy (
            from folded where window_date = {quote(day.isoformat())}::date
            order by interaction_id, asked
        ) to {quote(str(fresh))} (format parquet, compression zstd)
    """)
    with files.storing(fresh):
        fresh.chmod(0o600)
        files.sync_file(fresh)
    files.replace(fresh, path)


def _write_ledger(
    connection: duckdb.DuckDBPyConnection,
    layout: Layout,
    attempt: Attempt,
    window: Window,
    written: list[Path],
    accounts: list[SourceAccount],
    scope: dict[str, object],
    now: datetime,
) -> None:
    target = layout.window_ledger(attempt.run_id, window)
    fresh = target.with_name(f".{target.name}.new")
    if fresh.exists():
        files.remove_tree(fresh)
    files.make_directory(fresh)
    connection.execute(f"""
        copy (from ledger semi join planned_contacts using (contact_id)
              order by contact_id, source)
        to {quote(str(fresh / parts.LEDGER_FILE))} (format parquet, compression zstd)
    """)
    rejects = [part / parts.REJECTS_FILE for part in written]
    rejects = [path for path in rejects if path.exists()]
    if rejects:
        connection.execute(f"""
            copy (
                from read_parquet({paths(rejects)})
                qualify row_number() over (partition by reject_id order by seen_at) = 1
                order by reject_id
            ) to {quote(str(fresh / parts.REJECTS_FILE))} (format parquet, compression zstd)
        """)
    files.replace_json(
        {
            "run_id": attempt.run_id,
            "window_start": window.start.isoformat(),
            "window_end": window.end.isoformat(),
            "fingerprint": attempt.fingerprint,
            "started_at": attempt.started_at.isoformat(),
            "finished_at": now.isoformat(),
            "is_discovery_complete": attempt.is_discovery_complete,
            "scope": scope,
            "accounts": [
                {
                    "source": account.source.value,
                    "planned": account.planned,
                    "interactions": account.interactions,
                    "rejects": account.rejects,
                    **{state.value: count for state, count in account.states.items()},
                }
                for account in accounts
            ],
        },
        fresh / "run.json",
    )
    with files.storing(fresh):
        for path in fresh.iterdir():
            path.chmod(0o600)
            files.sync_file(path)
    files.replace(fresh, target)
