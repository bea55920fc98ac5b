"""Reads again what was set aside, as a run of today would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import pyarrow as pa

from history_pipeline.gws import payloads
from history_pipeline.history.flatten import Answered, Flattener
from history_pipeline.model import HistoryRequest, Source
from history_pipeline.settings import Settings
from history_pipeline.storage import forgotten, set_aside
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.set_aside import WindowRejects


@dataclass(slots=True)
class Replayed:
    """How many records were read again, how many of them landed, and which need no more reading:
    those that landed, and those that another window holds."""

    records: int = 0
    landed: int = 0
    resolved: list[str] = field(default_factory=list)


def replay(settings: Settings, layout: Layout, now: datetime) -> Replayed:
    """Puts what can be read by now into the lake. Call it with the extraction's lock held; then
    load the warehouse. Killed and repeated, it ends the same."""
    replayed = Replayed()
    set_aside.keep(layout, _landed(settings, layout, replayed))
    if replayed.resolved:
        set_aside.note_resolved(layout, replayed.resolved, now)
    return replayed


def _landed(settings: Settings, layout: Layout, replayed: Replayed) -> Iterator[pa.Table]:
    flattener = Flattener(settings.zone, forgotten.read(layout))
    for rejects in set_aside.unresolved(layout):
        rows = rejects.rows.to_pylist()
        flattened = flattener.flatten(
            [_answered(rejects, row) for row in rows],
            run_at=int(rejects.run_started_at.timestamp() * 1_000_000),
            asked=tuple(json.loads(rejects.asked)),
        )
        replayed.records += len(rows)
        replayed.landed += flattened.observations.num_rows
        replayed.resolved += [
            row["reject_id"]
            for row, rejected in zip(rows, flattened.rejected, strict=True)
            if not rejected
        ]
        if flattened.observations.num_rows:
            yield flattened.observations


def _answered(rejects: WindowRejects, row: dict[str, object]) -> Answered:
    """One record, as an answer of its own."""
    seen_at = row["seen_at"]
    assert isinstance(seen_at, datetime)  # noqa: S101 - of the schema REJECTS
    request = HistoryRequest(
        str(row["requested_contact_id"]), rejects.window, Source(str(row["source"]))
    )
    payload = msgspec.Raw(str(row["payload"]).encode("utf-8", errors="surrogatepass"))
    return Answered(request, payloads.array([payload]), int(seen_at.timestamp() * 1_000_000))
