"""A file that the disk has changed is not taken for what was written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from history_pipeline.storage import damage, files

WRITTEN = pa.table({"contact_id": [f"{n * 7919:032x}" for n in range(50)], "n": list(range(50))})


READERS = pytest.mark.parametrize(
    "read",
    [
        lambda path: damage.read(path, WRITTEN.schema),
        lambda path: damage.read_columns(path, WRITTEN.column_names),
    ],
    ids=["read", "read_columns"],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    files.write_table(WRITTEN, tmp_path / "ledger.parquet")
    return tmp_path / "ledger.parquet"


@READERS
def test_a_file_is_read_as_it_was_written(path: Path, read: Callable[[Path], pa.Table]) -> None:
    assert read(path) == WRITTEN


@READERS
def test_no_flipped_bit_of_a_page_changes_what_is_read(
    path: Path, read: Callable[[Path], pa.Table]
) -> None:
    """The sums are those of pages; the footer has none."""
    chunk = pq.read_metadata(path).row_group(0).column(0)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    whole = path.read_bytes()
    noticed = 0
    for place in range(start, start + chunk.total_compressed_size):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert read(path) == WRITTEN, place
        except (OSError, pa.ArrowException):
            noticed += 1
    assert noticed > chunk.total_compressed_size * 0.75
