"""The file that analysts read is replaced whole, and never under their hands."""

from __future__ import annotations

import stat

import duckdb
import pytest

from history_pipeline.errors import StorageError
from history_pipeline.storage import database, publishing
from history_pipeline_tests.storage.lake import Lake, observation

LOCKS = ("warehouse.lock", "warehouse.queue")


def test_models_that_break_off_are_nobodys(lake: Lake) -> None:
    lake.load()
    publishing.mark_modelled(lake.layout, "these")
    assert publishing.model_state(lake.layout).modelled_as == "these"
    publishing.unmark_modelled(lake.layout)
    assert publishing.model_state(lake.layout).modelled_as is None


def load_and_model(lake: Lake, run: int = 0) -> None:
    lake.load(run)
    publishing.mark_modelled(lake.layout)


def test_a_published_file_holds_what_the_warehouse_holds(lake: Lake) -> None:
    lake.run([observation("a"), observation("b")])
    load_and_model(lake)
    published = publishing.publish(lake.layout)
    assert (published.path, published.interactions) == (lake.layout.published, 2)
    with database.reading(lake.layout.published, lake.layout.scratch) as reader:
        assert reader.execute("select count(*) from raw_gws.interactions").fetchall() == [(2,)]
    assert published.size == lake.layout.published.stat().st_size


def test_it_belongs_to_its_owner_alone_and_nothing_lies_beside_it(lake: Lake) -> None:
    load_and_model(lake)
    publishing.publish(lake.layout)
    assert stat.S_IMODE(lake.layout.published.stat().st_mode) == 0o600
    names = {path.name for path in lake.layout.root.iterdir() if path.is_file()}
    assert names <= {"history.duckdb", "warehouse.duckdb", *LOCKS}


def test_an_open_reader_keeps_the_old_file_and_a_new_one_gets_the_new(lake: Lake) -> None:
    count = "select count(*) from raw_gws.interactions"
    lake.run([observation("a")])
    load_and_model(lake)
    publishing.publish(lake.layout)
    with database.reading(lake.layout.published, lake.layout.scratch) as old:
        assert old.execute(count).fetchall() == [(1,)]
        lake.run([observation("b", run=1)], run=1)
        load_and_model(lake, 1)
        publishing.publish(lake.layout)
        assert old.execute(count).fetchall() == [(1,)]
        with database.reading(lake.layout.published, lake.layout.scratch) as new:
            assert new.execute(count).fetchall() == [(2,)]


def test_what_the_models_do_not_show_yet_is_not_published(lake: Lake) -> None:
    lake.run([observation("a")])
    load_and_model(lake)
    publishing.publish(lake.layout)
    before = lake.layout.published.read_bytes()
    lake.run([observation("b", run=1)], run=1)
    lake.load(1)
    with pytest.raises(StorageError, match="models are older"):
        publishing.publish(lake.layout)
    assert lake.layout.published.read_bytes() == before


def test_loading_nothing_new_does_not_make_the_models_stale(lake: Lake) -> None:
    lake.run([observation("a")])
    load_and_model(lake)
    lake.load(1)
    publishing.publish(lake.layout)


def test_without_a_warehouse_there_is_nothing_to_publish(lake: Lake) -> None:
    with pytest.raises(StorageError, match="no warehouse yet"):
        publishing.publish(lake.layout)


@pytest.mark.parametrize("content", [b"", b"id,name\n1,x\n", b"SQLite format 3\x00" * 9])
def test_a_file_that_is_no_duckdb_file_is_not_replaced(lake: Lake, content: bytes) -> None:
    load_and_model(lake)
    lake.layout.published.write_bytes(content)
    with pytest.raises(StorageError, match="no DuckDB file"):
        publishing.publish(lake.layout)
    assert lake.layout.published.read_bytes() == content


def test_a_directory_in_its_place_is_not_replaced(lake: Lake) -> None:
    load_and_model(lake)
    lake.layout.published.mkdir()
    with pytest.raises(StorageError):
        publishing.publish(lake.layout)


def test_a_leftover_of_a_killed_copy_is_in_nobodys_way(lake: Lake) -> None:
    load_and_model(lake)
    lake.layout.published.with_name(".history.duckdb.new").write_bytes(b"half a copy")
    publishing.publish(lake.layout)
    with duckdb.connect(lake.layout.published, read_only=True) as reader:
        assert reader.execute("select count(*) from raw_gws.runs").fetchall() == [(0,)]
