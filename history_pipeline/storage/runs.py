"""What finished windows left in the lake: accounts and failures, by run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from history_pipeline.model import RequestState, Source, Window
from history_pipeline.storage import database, files, parts
from history_pipeline.storage.compaction import SourceAccount
from history_pipeline.storage.database import paths
from history_pipeline.storage.layout import Layout


def accounts(layout: Layout, run_id: str, window: Window | None = None) -> list[SourceAccount]:
    """One account for each finished window, or for this one, and source of the run."""
    finished = [layout.window_ledger(run_id, window)] if window else _windows(layout, run_id)
    return [
        SourceAccount(
            Source(told["source"]),
            told["planned"],
            {state: told[state.value] for state in RequestState},
            told["interactions"],
            told["rejects"],
        )
        for directory in finished
        for told in files.read_json(directory / "run.json")["accounts"]
    ]


NAMED = 3


class Failure(NamedTuple):
    """Why requests of a run failed, how many did, of how many contacts, and the first of these."""

    reason: str
    requests: int
    contacts: int
    named: list[str]


def failures(layout: Layout, run_id: str) -> list[Failure]:
    """Reasons for which requests of the run failed, most frequent first."""
    ledgers = [directory / parts.LEDGER_FILE for directory in _windows(layout, run_id)]
    if not ledgers:
        return []
    with database.in_memory(layout.scratch) as connection:
        rows = connection.execute(
            f"""
            select source || ': ' || coalesce(error, 'unknown'), count(*),
                count(distinct contact_id), list_sort(min(distinct contact_id, {NAMED}))
            from read_parquet({paths(ledgers)}) where state = 'failed'
            group by 1 order by 2 desc, 1
            """
        ).fetchall()
    return [Failure(*row) for row in rows]


def _windows(layout: Layout, run_id: str) -> Iterator[Path]:
    return iter(sorted(layout.ledger.glob(f"{run_id}.*")))
