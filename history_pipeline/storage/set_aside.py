"""The records that were set aside, and which of them have been read since.

What was set aside lies in the ledger of its window, for ever; that it was read later is noted in
a file of its own, which the warehouse takes `resolved_at` from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.errors import StorageError
from history_pipeline.model import Window
from history_pipeline.storage import database, days, files, parts
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import REJECTS, RESOLVED
from history_pipeline.storage.splitting import split_tables


@dataclass(frozen=True, slots=True)
class WindowRejects:
    """What one window of one run set aside and nobody has read yet; columns REJECTS."""

    window: Window
    run_started_at: datetime
    asked: str
    rows: pa.Table


def unresolved(layout: Layout) -> Iterator[WindowRejects]:
    """Window by window, in the order of their names."""
    known = set(_resolved(layout)["reject_id"].to_pylist())
    for directory in layout.window_ledgers():
        path = directory / parts.REJECTS_FILE
        if not path.exists():
            continue
        run: dict[str, Any] = files.read_json(directory / "run.json")
        rows = _read(path)
        mask = pa.array([each not in known for each in rows["reject_id"].to_pylist()], pa.bool_())
        yield WindowRejects(
            Window(date.fromisoformat(run["window_start"]), date.fromisoformat(run["window_end"])),
            datetime.fromisoformat(run["started_at"]),
            run["scope"]["custom_attributes"],
            rows.filter(mask),
        )


def keep(layout: Layout, tables: Iterator[pa.Table]) -> int:
    """Folds observations (columns OBSERVATIONS) into the lake's days; returns how many days
    were touched."""
    apart = layout.scratch / "replay"
    files.remove_tree(apart)
    found = split_tables(tables, apart)
    database.in_little_memory(
        layout.scratch,
        lambda connection: days.put_in_place(
            connection, found, lambda day: (layout.day(day), layout.day_versions(day))
        ),
    )
    files.remove_tree(apart)
    return len(found)


def note_resolved(layout: Layout, reject_ids: list[str], now: datetime) -> None:
    """These have been read. Call it after what they said is in place."""
    fresh = pa.table([reject_ids, [now] * len(reject_ids)], schema=RESOLVED)
    files.replace_table(pa.concat_tables([_resolved(layout), fresh]), layout.resolved)


def _resolved(layout: Layout) -> pa.Table:
    return _read(layout.resolved) if layout.resolved.exists() else RESOLVED.empty_table()


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=RESOLVED if path.name == "resolved.parquet" else REJECTS)
    except (OSError, pa.ArrowException) as exc:
        raise StorageError(f"{path} is damaged: {type(exc).__name__}") from exc
