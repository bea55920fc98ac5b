"""Files that are there whole or not at all."""

from __future__ import annotations

import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from history_pipeline.errors import StorageError
from history_pipeline.storage import files

TABLE = pa.table({"n": [1, 2, 3]})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_belong_to_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    files.replace_table(TABLE, tmp_path / "new" / "t.parquet")
    files.replace_json({}, tmp_path / "new" / "j.json")
    assert mode(tmp_path / "new") == 0o700
    assert mode(tmp_path / "new" / "t.parquet") == 0o600
    assert mode(tmp_path / "new" / "j.json") == 0o600


def test_a_replaced_file_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    files.replace_table(TABLE, path)
    files.replace_table(pa.table({"n": [4]}), path)
    assert pq.read_table(path)["n"].to_pylist() == [4]
    assert [each.name for each in tmp_path.iterdir()] == ["t.parquet"]


def test_a_reader_keeps_the_file_that_it_opened(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    files.replace_table(TABLE, path)
    with pq.ParquetFile(path) as reader:
        files.replace_table(pa.table({"n": [4]}), path)
        assert reader.read()["n"].to_pylist() == [1, 2, 3]


def test_a_leftover_of_a_kill_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".t.parquet.new").write_bytes(b"half a file, longer than the whole one" * 1000)
    files.replace_table(TABLE, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 3


@pytest.mark.parametrize(
    "act",
    [
        lambda path: files.make_directory(path / "x"),
        lambda path: files.write_table(TABLE, path / "x"),
        lambda path: files.replace_table(TABLE, path / "x" / "y"),
        lambda path: files.replace_json({}, path / "x"),
        lambda path: files.remove_tree(path / "x" / "y"),
        lambda path: files.replace(path / "absent", path / "y"),
        lambda path: files.read_json(path / "x"),
    ],
)
def test_what_the_file_system_refuses_is_a_storage_error(tmp_path: Path, act: object) -> None:
    path = tmp_path / "a file"
    path.write_text("where a directory should be")
    with pytest.raises(StorageError, match="a file"):
        act(path)  # type: ignore[operator]


def test_json_that_is_absent_is_none_and_damaged_json_is_an_error(tmp_path: Path) -> None:
    assert files.read_json(tmp_path / "absent.json") is None
    for damaged in (b"", b"{", b"\xff"):
        (tmp_path / "j.json").write_bytes(damaged)
        with pytest.raises(StorageError):
            files.read_json(tmp_path / "j.json")
