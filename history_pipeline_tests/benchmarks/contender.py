"""One contender's run: `python -m ….contender NAME URL ROOT IN_FLIGHT`.

`bare` asks, drains and keeps nothing. `step` is this pipeline's history step, `undurable` the same
with nothing put on the disk until its day files, `whole` all of it from the list of contacts to the
published file, without dbt. `dlt` and `dlt arrow` are in `with_dlt`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from history_pipeline.gws import payloads
from history_pipeline.history import extraction, recording
from history_pipeline.settings import Settings
from history_pipeline.storage import (
    contact_list,
    database,
    days,
    files,
    parts,
    publishing,
    warehouse,
)
from history_pipeline.storage.compaction import SourceAccount
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LEDGER
from history_pipeline_tests.benchmarks import product
from history_pipeline_tests.benchmarks.asking import ask_all
from history_pipeline_tests.benchmarks.measuring import Taken, measured, tell
from history_pipeline_tests.benchmarks.scene import WINDOW, listed, pipeline_settings


def bare(settings: Settings, layout: Layout, taken: Taken) -> None:
    received = 0

    def drain(_: object, records: Any) -> None:
        nonlocal received
        received += payloads.size(records)

    asyncio.run(ask_all(settings, _contacts(layout), drain))
    taken.told["received_mb"] = received / 1e6


def step(settings: Settings, layout: Layout, taken: Taken) -> None:
    def write(directory: Path, ordinal: int, observations: pa.Table, *rest: pa.Table) -> Path:
        part = write_part(directory, ordinal, observations, *rest)
        if observations.num_rows:
            taken.has_a_row()  # a part is a Parquet file
        return part

    write_part = parts.write
    with patch.object(parts, "write", write):
        _extract(settings, layout, taken)


def _extract(settings: Settings, layout: Layout, taken: Taken) -> None:
    account = asyncio.run(extraction.extract(settings, layout, WINDOW)).account
    taken.told |= {"interactions": account.interactions, "answered": sum(account.states.values())}


def undurable(settings: Settings, layout: Layout, taken: Taken) -> None:
    """Nothing is confirmed by the disk, and the parts and their ledger stay in memory."""

    def write(directory: Path, ordinal: int, *_: pa.Table) -> Path:
        return directory / str(ordinal)

    def compact(*arguments: Any) -> list[SourceAccount]:
        intake = arguments[-1]
        with database.in_memory(layout.scratch) as connection:
            days.put_in_place(
                connection,
                intake.days([]),
                lambda day: (layout.day(day), layout.day_versions(day)),
            )
        return []

    with (
        patch.object(recording, "_ledger", lambda rows: LEDGER.empty_table()),
        patch.object(parts, "write", write),
        patch.object(files, "sync", lambda file: None),
        patch.object(extraction, "compact", compact),
    ):
        _extract(settings, layout, taken)


def whole(settings: Settings, layout: Layout, taken: Taken) -> None:
    _extract(settings, layout, taken)
    warehouse.load(layout, datetime.now(UTC))
    with warehouse.writing(layout, "publishing"):
        publishing.mark_modelled(layout)
        publishing.publish(layout)


def _contacts(layout: Layout) -> list[str]:
    ids: list[str] = contact_list.current_ids(layout).to_pylist()
    return ids


def _with_dlt(kind: str) -> Callable[[Settings, Layout, Taken], None]:
    def run(settings: Settings, layout: Layout, taken: Taken) -> None:
        from history_pipeline_tests.benchmarks import with_dlt

        with_dlt.run(settings, _contacts(layout), layout.root, kind)

    return run


CONTENDERS = {
    "bare": bare,
    "step": step,
    "undurable": undurable,
    "whole": whole,
    "dlt": _with_dlt("dictionaries"),
    "dlt arrow": _with_dlt("arrow"),
}


def main(name: str, url: str, root: str, in_flight: str) -> None:
    settings = pipeline_settings(url, Path(root), int(in_flight))
    layout = listed(settings)
    pa.array([])  # which has pyarrow import pandas: an import, as those above
    with measured() as taken:
        CONTENDERS[name](settings, layout, taken)
    taken.told["product"] = product.of(name, layout)
    tell(taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
