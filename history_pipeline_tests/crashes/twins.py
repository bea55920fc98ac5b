"""The step with a fault put in by hand, which kills itself once where that fault hurts.

`python -m history_pipeline_tests.crashes.twins TWIN FIRST END`. The marker that it has been killed
lies in its working directory.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.storage import attempts, files, parts, warehouse
from history_pipeline.storage.schemas import LEDGER
from history_pipeline_tests.crashes import step
from history_pipeline_tests.crashes.scene import MOST_ASKED_AGAIN

_MARKER = Path("has-been-killed")


def die_once() -> None:
    if not _MARKER.exists():
        _MARKER.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def a_part_in_place() -> None:
    """A part is written where it is read, and not renamed when it is whole."""

    def write(
        directory: Path, ordinal: int, observations: pa.Table, rejects: pa.Table, ledger: pa.Table
    ) -> None:
        part = directory / f"part-{ordinal:06d}"
        files.make_directory(part)
        files.write_table(ledger, part / parts.LEDGER_FILE)
        if observations.num_rows:
            die_once()
            files.write_table(observations, part / parts.OBSERVATIONS_FILE)
        if rejects.num_rows:
            files.write_table(rejects, part / parts.REJECTS_FILE)

    parts.write = write


def a_file_in_place() -> None:
    """A file is written over the old one."""

    def replace(source: Path, target: Path) -> None:
        if target.suffix == ".parquet" and target.exists():
            whole = source.read_bytes()
            target.write_bytes(whole[: len(whole) // 2])
            die_once()
        source.replace(target)

    files.replace = replace


def an_end_before_its_time() -> None:
    """A run counts as finished before what it brought is loaded."""
    real = warehouse.load

    def load(layout: Any, now: Any) -> Any:
        for attempt in attempts.every(layout):
            attempts.finish(attempt)
        die_once()
        return real(layout, now)

    warehouse.load = load


def an_end_forgotten() -> None:
    """What has been put down before a kill is asked again."""
    real = parts.write

    def write(directory: Path, *args: Any) -> None:
        real(directory, *args)
        if sum(each.num_rows for each in map(_ledger, parts.whole(directory))) > MOST_ASKED_AGAIN:
            die_once()

    def settled(directory: Path) -> pa.Table:
        return LEDGER.empty_table().select(["contact_id", "source", "state"])

    parts.write = write
    parts.settled = settled


def _ledger(part: Path) -> pa.Table:
    return pq.read_table(part / parts.LEDGER_FILE)


TWINS = {
    each.__name__: each
    for each in (a_part_in_place, a_file_in_place, an_end_before_its_time, an_end_forgotten)
}

if __name__ == "__main__":
    TWINS[sys.argv[1]]()
    step.main(*sys.argv[2:])
