"""A finished window's parts become day files and a ledger; the proof that none is missing.

A day's file is the union of what it held and the new answers: nothing that was loaded is deleted
by loading. Compaction repeated over the same parts gives the same rows, so a kill in the middle
costs nothing. The ledger's directory is renamed into place last: with it the window is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from history_pipeline.errors import StorageError
from history_pipeline.model import TRUNCATED, RequestState, Source, Window
from history_pipeline.storage import damage, database, days, files, parts
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.database import paths, quote
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LEDGER, OBSERVATIONS
from history_pipeline.storage.splitting import DayCopies, Splitter


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """How the requests of one window and source ended; the states add up to `planned`."""

    source: Source
    planned: int
    states: dict[RequestState, int]
    interactions: int
    rejects: int


class Intake:
    """A window's observations set apart by day, part by part while more is asked: all at once, at
    the end, they would keep the window waiting. `with` removes what it has left on the disk."""

    def __init__(self, layout: Layout, attempt: Attempt, window: Window) -> None:
        self._directory = layout.scratch / f"{attempt.run_id}.{window.start.isoformat()}"
        self._splitter = Splitter(self._directory)
        self._taken: set[Path] = set()

    def __enter__(self) -> Self:
        files.remove_tree(self._directory)
        self._splitter.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._splitter.__exit__()
        finally:
            files.remove_tree(self._directory)

    def take(self, part: Path, observations: pa.Table) -> None:
        """What was written to this part. Raises StorageError."""
        self._splitter.take(observations)
        self._taken.add(part)

    def days(self, written: list[Path]) -> list[DayCopies]:
        """Those of all these parts; what has not been taken in is read. Raises StorageError."""
        for part in written:
            path = part / parts.OBSERVATIONS_FILE
            if part not in self._taken and path.exists():
                with damage.of_part(part):
                    self.take(part, damage.read(path, OBSERVATIONS))
        return self._splitter.days()


def compact(
    layout: Layout,
    attempt: Attempt,
    window: Window,
    sources: tuple[Source, ...],
    scope: dict[str, object],
    now: datetime,
    intake: Intake | None = None,
) -> list[SourceAccount]:
    """Puts the window's days and its ledger in place. `intake` has taken parts in already.

    Raises StorageError where a planned request is not accounted for exactly once: then the window
    stays unfinished, and nothing is taken for complete.
    """
    directory = attempt.window_directory(window)
    written = parts.whole(directory)
    ready = [] if intake is None else [intake]

    def work(connection: duckdb.DuckDBPyConnection) -> list[SourceAccount]:
        if ready:
            return put_in_place(connection, ready.pop())
        # a second try begins with the parts: what the first one has used up is gone
        with Intake(layout, attempt, window) as anew:
            return put_in_place(connection, anew)

    def put_in_place(
        connection: duckdb.DuckDBPyConnection, observations: Intake
    ) -> list[SourceAccount]:
        _read_plan(connection, attempt, window, sources)
        _read_ledger(connection, attempt, sources, written)
        accounts = _account(connection, window, sources)
        days.put_in_place(
            connection,
            observations.days(written),
            lambda day: (layout.day(day), layout.day_versions(day)),
            done=lambda copies: copies.path.unlink(missing_ok=True),
        )
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
        # a request that was put down twice counts once, with the retries of both: asked again as
        # its answer looked cut, or by a part written just before a kill
        connection.execute(f"""
            insert into ledger by name
            select {", ".join(LEDGER.names)}
            from (
                select * replace (greatest(
                    attempts,
                    sum(attempts) over (partition by contact_id, source) + 1
                        - count(*) over (partition by contact_id, source)
                )::integer as attempts)
                from read_parquet({paths(ledgers)}) where hash(contact_id) % {shares} = {share}
            )
            qualify row_number() over (
                partition by contact_id, source
                order by coalesce(error = {quote(TRUNCATED)}, false) desc,
                    (state = 'answered') desc, finished_at desc
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
