"""Parts: what came in during the last seconds, with the ledger rows that account for it.

A part is a directory that is written under another name, confirmed by the disk and renamed, so
answers and their ledger rows are there together or not at all.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from history_pipeline.model import TRUNCATED, RequestState
from history_pipeline.storage import damage, files
from history_pipeline.storage.schemas import PART_LEDGER

OBSERVATIONS_FILE = "observations.parquet"
REJECTS_FILE = "rejects.parquet"
LEDGER_FILE = "ledger.parquet"

_BEFORE_ALL = " "


def whole(directory: Path) -> list[Path]:
    """The parts of a window that are whole, in the order in which they were written."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.name.startswith("part-"))


def write(
    directory: Path, ordinal: int, observations: pa.Table, rejects: pa.Table, ledger: pa.Table
) -> Path:
    """Puts one part in place. Raises StorageError, and then nothing of it is there."""
    files.make_directory(directory)
    fresh = directory / f".new-{ordinal:06d}"
    if fresh.exists():
        files.remove_tree(fresh)
    files.make_directory(fresh)
    if observations.num_rows:
        files.write_table(observations, fresh / OBSERVATIONS_FILE)
    if rejects.num_rows:
        files.write_table(rejects, fresh / REJECTS_FILE)
    files.write_table(ledger, fresh / LEDGER_FILE)
    with files.storing(fresh):
        files.sync_directory(fresh)
    part = directory / f"part-{ordinal:06d}"
    files.replace(fresh, part)
    return part


def next_ordinal(directory: Path) -> int:
    done = whole(directory)
    return int(done[-1].name.removeprefix("part-")) + 1 if done else 1


def settled(directory: Path) -> pa.Table:
    """contact_id, source and state of every request that has ended in this window. One that was
    put down twice was answered, unless its answer was found to be cut."""
    rows = _ledger_columns(directory, ["contact_id", "source", "state", "error"])
    is_cut = pc.fill_null(pc.equal(rows["error"], TRUNCATED), False)
    # by the alphabet, `answered` comes before all other states, and a blank before it
    states = pc.if_else(is_cut, _BEFORE_ALL, rows["state"])
    ended = rows.select(["contact_id", "source"]).append_column("state", states)
    first = ended.group_by(["contact_id", "source"], use_threads=False).aggregate(
        [("state", "min")]
    )
    states = pc.if_else(
        pc.equal(first["state_min"], _BEFORE_ALL), RequestState.FAILED.value, first["state_min"]
    )
    return first.select(["contact_id", "source"]).append_column("state", states)


def taken(directory: Path) -> pa.Table:
    """contact_id, source and `received` of every answer that was taken as it came."""
    rows = _ledger_columns(directory, ["contact_id", "source", "received"])
    return rows.filter(pc.is_valid(rows["received"]))


def _ledger_columns(directory: Path, columns: list[str]) -> pa.Table:
    tables = [PART_LEDGER.empty_table().select(columns)]
    for part in whole(directory):
        with damage.of_part(part):
            tables.append(damage.read_columns(part / LEDGER_FILE, columns))
    # a version that did not count what it received left that column out
    return pa.concat_tables(tables, promote_options="default").combine_chunks()
