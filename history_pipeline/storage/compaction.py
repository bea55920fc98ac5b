"""A finished window's parts become day files and a ledger; the proof that none is missing.

A day's file is the union of what it held and the new answers: nothing that was loaded is deleted
by loading. Compaction repeated over the same parts gives the same rows, so a kill in the middle
costs nothing. The ledger's directory is renamed into place last: with it the window is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from history_pipeline.errors import StorageError
from history_pipeline.model import RequestState, Source, Window
from history_pipeline.storage import damage, database, days, files, parts
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.database import paths, quote
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.splitting import split_by_day


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
    directory = attempt.window_directory(window)
    written = parts.whole(directory)

    def work(connection: duckdb.DuckDBPyConnection) -> list[SourceAccount]:
        _read_plan(connection, attempt, window, sources)
        _read_ledger(connection, attempt, sources, written)
        accounts = _account(connection, window, sources)
        _write_days(connection, layout, directory, written)
        _write_ledger(connection, layout, attempt, window, written, accounts, scope, now)
        return accounts

    with damage.looked_for(parts=written):
        accounts = database.in_little_memory(layout.scratch, work)
    if directory.exists():
        files.remove_tree(directory)
    return accounts


def _read_plan(
    connection: duckdb.DuckDBPyConnection,
    attempt: Attempt,
    window: Window,
    sources: tuple[Source, ...],
) -> None:
    if attempt.plan.exists():
        rows = (
            f"select contact_id, source from read_parquet({quote(str(attempt.plan))}) "
            f"where window_start = {quote(window.start.isoformat())}::date"
        )
    else:
        names = ", ".join(quote(source.value) for source in sources)
        listed = quote(str(attempt.directory / "contacts.parquet"))
        rows = f"select contact_id, unnest([{names}]) as source from read_parquet({listed})"
    connection.execute(f"create temp table planned as {rows}")


def _read_ledger(
    connection: duckdb.DuckDBPyConnection,
    attempt: Attempt,
    sources: tuple[Source, ...],
    written: list[Path],
) -> None:
    ledgers = [part / parts.LEDGER_FILE for part in written]
    if not ledgers:
        if connection.execute("from planned limit 1").fetchall():
            raise StorageError("no part of this window is there")
        connection.execute(_EMPTY_LEDGER)
        return
    connection.execute(_EMPTY_LEDGER)
    shares = database.shares(len(sources) * attempt.contacts)
    for share in range(shares):
        # a request that was put down twice, by a part written just before a kill, counts once
        connection.execute(f"""
            insert into ledger by name
            from read_parquet({paths(ledgers)}) where hash(contact_id) % {shares} = {share}
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
    window: Window,
    sources: tuple[Source, ...],
) -> list[SourceAccount]:
    accounts = []
    for source in sources:
        rows = connection.execute(
            """
            select state, count(*), sum(interactions), sum(rejects)
            from ledger semi join planned using (contact_id, source)
            where source = ? group by state
            """,
            [source.value],
        ).fetchall()
        ((planned,),) = connection.execute(
            "select count(*) from planned where source = ?", [source.value]
        ).fetchall()
        states = {RequestState(state): count for state, count, _, _ in rows}
        if sum(states.values()) != planned:
            raise StorageError(
                f"window {window}, {source.value}: {planned} requests were planned, but "
                f"{sum(states.values())} are accounted for"
            )
        accounts.append(
            SourceAccount(
                source,
                planned,
                {state: states.get(state, 0) for state in RequestState},
                int(sum(row[2] for row in rows)),
                int(sum(row[3] for row in rows)),
            )
        )
    return accounts


def _write_days(
    connection: duckdb.DuckDBPyConnection, layout: Layout, directory: Path, written: list[Path]
) -> None:
    fresh = [part / parts.OBSERVATIONS_FILE for part in written]
    apart = layout.scratch / f"{directory.parent.parent.name}.{directory.name}"
    try:
        days.put_in_place(
            connection,
            split_by_day([path for path in fresh if path.exists()], apart),
            lambda day: (layout.day(day), layout.day_versions(day)),
            done=lambda copies: copies.path.unlink(missing_ok=True),
        )
    finally:
        if apart.exists():
            files.remove_tree(apart)


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
        copy (from ledger semi join planned using (contact_id, source)
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
