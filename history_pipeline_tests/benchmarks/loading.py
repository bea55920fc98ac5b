"""The warehouse at its size: `python -m ….loading STEP ROOT ROWS [URL]`, each step a process of its own.

`make` writes a lake; `plain` and `first` load all of it, as one statement would and as the pipeline
does; `day` loads one day more; `publish` puts the file for analysts in place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from history_pipeline.history.flatten import Answered, Flattener
from history_pipeline.model import HistoryRequest, Source
from history_pipeline.simulator.world import World
from history_pipeline.storage import database, files, identity, publishing, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import MOMENT, OBSERVATIONS
from history_pipeline_tests.benchmarks.measuring import measured, tell
from history_pipeline_tests.benchmarks.scene import ASKED, WINDOW

ZONE = "Europe/Berlin"
DAYS = 150
NOW = datetime(2026, 11, 1, tzinfo=UTC)


Work = Callable[[], object]
"""What a step measures; what it prepares is done before."""


def make(layout: Layout, rows: int) -> Work:
    """So many rows in all, alike on each day but for their ids and times."""

    def work() -> None:
        pattern = pattern_of(rows // DAYS)
        for number in range(DAYS):
            write_day(layout, pattern, number)

    return work


def pattern_of(rows: int) -> pa.Table:
    """Rows of the simulator's world, as they are flattened."""
    world = World(
        seed=1, contacts=rows // 10 + 1, start=WINDOW.start, end=WINDOW.end, zone=ZONE,
        interactions_per_contact=20.0, unreadable_share=0.0,
    )  # fmt: skip
    answers = [
        Answered(
            HistoryRequest(contact.contact_id, WINDOW, Source.MAIN),
            msgspec.Raw(
                msgspec.json.encode(
                    [each.payload for each in world.records(contact.contact_id, Source.MAIN)]
                )
            ),
            int(NOW.timestamp() * 1_000_000),
        )
        for contact in world.contacts()
    ]
    found = Flattener(ZoneInfo(ZONE)).flatten(answers, run_at=0, asked=ASKED).observations
    copies = -(-rows // max(1, found.num_rows))
    return pa.concat_tables([found] * copies).slice(0, rows).combine_chunks()


def write_day(
    layout: Layout, pattern: pa.Table, number: int, *, contacts: int = 0, seen: datetime = NOW
) -> None:
    """One day's file. With `contacts`, its interactions are theirs, by turns that look like chance;
    `seen` is when they were last seen."""
    day = WINDOW.start + timedelta(days=number)
    ids = pa.array([f"{number:04d}{row:012d}" for row in range(pattern.num_rows)])
    changed = {
        "interaction_id": ids,
        "window_date": pa.repeat(pa.scalar(day, pa.date32()), pattern.num_rows),
        "started_at": pc.add(pattern["started_at"], pa.scalar(timedelta(days=number))),
        "last_seen_at": pa.repeat(pa.scalar(seen, MOMENT), pattern.num_rows),
    }
    if contacts:
        turns = (np.arange(pattern.num_rows) + number * pattern.num_rows) * 2_654_435_761
        changed["contact_id"] = pa.array([contact_id(each) for each in turns % contacts])
    rows = pa.table(
        [changed.get(name, pattern[name]) for name in OBSERVATIONS.names], schema=OBSERVATIONS
    )
    path = layout.day(day)
    files.make_directory(path.parent)
    files.write_table(rows, path)


def contact_id(number: int) -> str:
    return f"contact{number:07d}"


def plain(layout: Layout, rows: int) -> Work:
    def work() -> None:
        limits = {"memory_limit": database.MEMORY_LIMIT, "threads": 2}
        with duckdb.connect(str(layout.root / "plain.duckdb"), config=limits) as connection:
            paths = [str(path) for path in layout.day_files()]
            connection.execute(f"create table interactions as from read_parquet({paths})")

    return work


def first(layout: Layout, rows: int) -> Work:
    return lambda: warehouse.load(layout, NOW)


def day(layout: Layout, rows: int) -> Work:
    write_day(layout, pattern_of(rows // DAYS), DAYS)
    return lambda: warehouse.load(layout, NOW)


def publish(layout: Layout, rows: int) -> Work:
    def work() -> None:
        with warehouse.writing(layout, "publishing"):
            publishing.publish(layout)

    with warehouse.writing(layout, "publishing"):
        publishing.mark_modelled(layout)
    return work


STEPS = {"make": make, "plain": plain, "first": first, "day": day, "publish": publish}


def main(step: str, root: str, rows: str, server: str = "http://127.0.0.1") -> None:
    layout = identity.open_data_dir(Path(root), server=server, zone=ZONE)
    work = STEPS[step](layout, int(rows))
    with measured() as taken:
        work()
    tell(taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
