"""What a data engineer would take instead: dlt, with the same client in an async resource.

Two tables, as in the pipeline's warehouse: interactions and their attributes, merged by their keys,
for both sources hold some of them. dlt's own columns are kept out of the comparison.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt

from history_pipeline.gws.inquiry import Answer
from history_pipeline.model import HistoryRequest
from history_pipeline.settings import Settings
from history_pipeline_tests.benchmarks.asking import ask_all
from history_pipeline_tests.benchmarks.records import (
    ATTRIBUTES,
    DLT_DATABASE,
    INTERACTIONS,
    STANDING,
    rows_of,
)

PAGE_ANSWERS = 200


_TYPES = {"window_date": "date", "started_at": "timestamp", "ended_at": "timestamp"}
_SORT = {STANDING: {"data_type": "bigint", "dedup_sort": "desc"}}

_HINTS = _SORT | {name: {"data_type": _TYPES.get(name, "text")} for name in INTERACTIONS}
_OF_ATTRIBUTES = dlt.mark.make_hints(
    table_name="interaction_attributes",
    primary_key=["interaction_id", "name"],
    write_disposition="merge",
)


def run(settings: Settings, contact_ids: list[str], root: Path, kind: str) -> None:
    """Asks everything and loads it into a DuckDB file below `root`, Parquet between."""
    pipeline = dlt.pipeline(
        pipeline_name="history",
        pipelines_dir=str(root / "dlt"),
        destination=dlt.destinations.duckdb(str(root / DLT_DATABASE)),
        dataset_name="raw_gws",
    )
    resource = _dictionaries if kind == "dictionaries" else _arrow
    pipeline.run(resource(settings, contact_ids), loader_file_format="parquet")


_decode = msgspec.json.Decoder(list[Any]).decode

Rows = tuple[list[dict[str, Any]], list[dict[str, Any]]]


async def _pages(settings: Settings, contact_ids: list[str]) -> AsyncIterator[Rows]:
    """Rows of both tables, some answers' at a time."""
    zone = ZoneInfo(settings.timezone)
    pages: asyncio.Queue[Rows | None] = asyncio.Queue()
    interactions: list[dict[str, Any]] = []
    attributes: list[dict[str, Any]] = []
    answers = 0

    def take(request: HistoryRequest, answer: Answer) -> None:
        nonlocal interactions, attributes, answers
        for record in _decode(answer):
            row, named = rows_of(record, request, zone)
            if row is not None:
                interactions.append(row)
                attributes += named
        answers += 1
        if answers % PAGE_ANSWERS == 0:
            pages.put_nowait((interactions, attributes))
            interactions, attributes = [], []

    async def ask() -> None:
        await ask_all(settings, contact_ids, take)
        pages.put_nowait((interactions, attributes))
        pages.put_nowait(None)

    asking = asyncio.create_task(ask())
    while (page := await pages.get()) is not None:
        yield page
    await asking


@dlt.resource(
    name="interactions", columns=_HINTS, primary_key="interaction_id", write_disposition="merge"
)
async def _dictionaries(settings: Settings, contact_ids: list[str]) -> AsyncIterator[Any]:
    async for interactions, attributes in _pages(settings, contact_ids):
        yield interactions
        yield dlt.mark.with_hints(attributes, _OF_ATTRIBUTES, create_table_variant=True)


@dlt.resource(
    name="interactions", columns=_SORT, primary_key="interaction_id", write_disposition="merge"
)
async def _arrow(settings: Settings, contact_ids: list[str]) -> AsyncIterator[Any]:
    async for interactions, attributes in _pages(settings, contact_ids):
        yield pa.Table.from_pylist(interactions, INTERACTIONS_SCHEMA)
        named = pa.Table.from_pylist(attributes, ATTRIBUTES_SCHEMA)
        yield dlt.mark.with_hints(named, _OF_ATTRIBUTES, create_table_variant=True)


_MOMENT = pa.timestamp("us", tz="UTC")
_ARROW = {"window_date": pa.date32(), "started_at": _MOMENT, "ended_at": _MOMENT}
INTERACTIONS_SCHEMA = pa.schema(
    [(name, _ARROW.get(name, pa.string())) for name in INTERACTIONS] + [(STANDING, pa.int64())]
)
ATTRIBUTES_SCHEMA = pa.schema([(name, pa.string()) for name in ATTRIBUTES])
