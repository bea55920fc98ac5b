"""What the UI shows of an extraction: counts, times and ids, never a customer's words."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from history_pipeline.history.extraction import Extraction
from history_pipeline.model import RequestState, Source, Window
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.preview import preview_frame


def requests(extraction: Extraction, window: Window) -> dict[str, Any]:
    """What was asked for these days together, and what came of it."""
    account = extraction.account
    rate = account.asked / account.seconds if account.seconds else 0.0
    p50, p99 = account.latencies.quantile(0.5), account.latencies.quantile(0.99)
    counts = states(extraction)
    return {
        "days asked together": str(window),
        "requests planned": sum(counts.values()),
        **{f"requests {state.value}": count for state, count in counts.items()},
        "interactions": sum(a.interactions for _, each in extraction.windows for a in each),
        "rejects": sum(a.rejects for _, each in extraction.windows for a in each),
        "retries": account.retries,
        "requests a second": round(rate, 1),
        "latency p50 (s)": round(p50, 3) if p50 is not None else None,
        "latency p99 (s)": round(p99, 3) if p99 is not None else None,
        "run": extraction.run_id,
        **reasons(extraction),
        **({"warnings": extraction.warnings} if extraction.warnings else {}),
    }


def reasons(extraction: Extraction) -> dict[str, Any]:
    """Why requests failed, with how often; nothing where none did."""
    errors = extraction.account.errors.most_common()
    told = "; ".join(f"{count} times: {reason}" for reason, count in errors)
    return {"reasons of failure": told} if told else {}


def states(extraction: Extraction) -> dict[RequestState, int]:
    accounts = [account for _, each in extraction.windows for account in each]
    return {state: sum(account.states[state] for account in accounts) for state in RequestState}


def unavailable(extraction: Extraction) -> dict[Source, int]:
    accounts = [account for _, each in extraction.windows for account in each]
    return {
        source: sum(a.states[RequestState.UNAVAILABLE] for a in accounts if a.source is source)
        for source in Source
    }


def day(layout: Layout, day_: date) -> dict[str, Any]:
    """What the lake holds of one day, whichever run brought it: how many interactions, and the
    latest ids, media types and times."""
    frame = preview_frame(layout, Window(day_, day_ + timedelta(days=1)))
    records = [
        dg.TableRecord({name: _text(value) for name, value in row.items()})
        for row in frame.to_dict("records")
    ]
    return {
        "interactions of this day": _interactions(layout.day(day_)),
        "preview": dg.MetadataValue.table(records) if records else "no interactions",
    }


def _text(value: Any) -> str:
    if isinstance(value, datetime):  # pandas' NaT is one too: still open
        return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value == value else ""  # noqa: PLR0124
    return str(value)


def _interactions(day_file: Path) -> int:
    """One that both sources hold has two rows in the lake."""
    if not day_file.exists():
        return 0
    ids = pq.read_table(day_file, columns=["interaction_id"])["interaction_id"]
    return len(ids.unique())
