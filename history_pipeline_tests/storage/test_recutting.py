"""The lake's days cut in another zone: as if they had been cut so from the start."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.errors import ConfigurationError, StorageError
from history_pipeline.history.instants import LocalDays, local_days
from history_pipeline.model import Window
from history_pipeline.storage import files, identity, recutting, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import MOMENT
from history_pipeline_tests.families import mostly_slow
from history_pipeline_tests.storage.lake import MAY, NOON, Lake, Row, breaking, observation

SERVER, OLD, NEW = "https://gws.example.com", "Europe/Berlin", "America/New_York"
MICROS = st.integers(-(10**15), 4 * 10**15)


@given(
    st.lists(MICROS, max_size=20),
    st.sampled_from(["Europe/Berlin", "America/Havana", "America/Sao_Paulo", "Asia/Kathmandu",
                     "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut", "UTC"]),
)  # fmt: skip
def test_days_are_those_that_the_flattener_gives(moments: list[int], zone: str) -> None:
    days = recutting.local_days(pa.chunked_array([pa.array(moments, MOMENT)]), ZoneInfo(zone))
    numbers = np.array(moments, np.int64)
    wanted = local_days(numbers, LocalDays(ZoneInfo(zone)).offsets(numbers))
    assert days.cast(pa.int32()).to_pylist() == wanted.tolist()


def started(name: str, moment: datetime, zone: str, **fields: object) -> Row:
    return observation(
        name,
        started_at=moment,
        started_at_text=moment.isoformat(),
        window_date=moment.astimezone(ZoneInfo(zone)).date(),
        **fields,
    )


def rows(zone: str) -> list[Row]:
    """Every three hours for some days: half of them fall on other days elsewhere."""
    first = datetime(2024, 5, 3, 0, 30, tzinfo=UTC)
    return [
        started(f"i{n}", first + timedelta(hours=3 * n), zone, subject=f"text {n}")
        for n in range(24)
    ]


def lake_in(zone: str, root: Path) -> Lake:
    layout = identity.open_data_dir(root, server=SERVER, zone=zone)
    lake = Lake(layout)
    lake.run(rows(zone), server_timezone=zone)
    lake.load()
    return lake


def interactions(lake: Lake) -> list[Row]:
    return lake.table("interactions")


def test_recut_days_are_as_if_they_had_been_cut_so_from_the_start(tmp_path: Path) -> None:
    lake, wanted = lake_in(OLD, tmp_path / "old"), lake_in(NEW, tmp_path / "new")
    assert interactions(lake) != interactions(wanted)
    recutting.recut(lake.layout, ZoneInfo(NEW))
    warehouse.rebuild(lake.layout, NOON)
    assert interactions(lake) == interactions(wanted)
    assert [path.name for path in lake.layout.day_files()] == [
        path.name for path in wanted.layout.day_files()
    ]
    assert identity.zone_of(lake.layout) == NEW


def test_at_its_edges_a_window_of_another_zone_proves_nothing(tmp_path: Path) -> None:
    lake = lake_in(OLD, tmp_path)
    recutting.recut(lake.layout, ZoneInfo(NEW))
    warehouse.rebuild(lake.layout, NOON)
    spans = {(row["span_start"], row["span_end"]) for row in lake.table("coverage")}
    assert spans == {(MAY.start + timedelta(days=1), MAY.end - timedelta(days=1))}


def test_neighbouring_windows_of_another_zone_have_no_edge_between_them(tmp_path: Path) -> None:
    layout = identity.open_data_dir(tmp_path, server=SERVER, zone=OLD)
    lake = Lake(layout)
    june = Window(MAY.end, date(2024, 7, 1))
    lake.run([], window=MAY, server_timezone=OLD)
    lake.run([], run=1, window=june, server_timezone=OLD)
    recutting.recut(layout, ZoneInfo(NEW))
    warehouse.rebuild(layout, NOON)
    spans = {(row["span_start"], row["span_end"]) for row in lake.table("coverage")}
    assert spans == {(date(2024, 5, 2), date(2024, 6, 30))}


def test_an_interaction_that_lay_on_two_days_and_lies_on_one_is_folded(tmp_path: Path) -> None:
    layout = identity.open_data_dir(tmp_path, server=SERVER, zone=OLD)
    lake = Lake(layout)
    early, late = (datetime(2024, 5, 3, hour, 30, tzinfo=UTC) for hour in (21, 23))
    lake.run([started("moved", early, OLD, subject="before")])
    lake.run([started("moved", late, OLD, subject="after", run=1)], run=1)
    assert len(layout.day_files()) == 2
    recutting.recut(layout, ZoneInfo(NEW))
    warehouse.rebuild(layout, NOON)
    assert len(layout.day_files()) == 1
    assert [row["subject"] for row in interactions(lake)] == ["after"]


@pytest.mark.parametrize("at", mostly_slow([7, 1, 2, 4, 6, 8, 9]))
def test_killed_and_repeated_it_ends_the_same_and_nobody_uses_it_meanwhile(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = lake_in(NEW, tmp_path / "new")
    lake = lake_in(OLD, tmp_path / "old")
    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", breaking(at, files.replace))
        with pytest.raises(StorageError, match="killed"):
            recutting.recut(lake.layout, ZoneInfo(NEW))
    if at > 1:
        for zone in (OLD, NEW):
            with pytest.raises(ConfigurationError, match="history-pipeline rebuild"):
                identity.open_data_dir(lake.layout.root, server=SERVER, zone=zone)
    identity.open_data_dir(lake.layout.root, server=SERVER, zone=NEW, to_rebuild=True)
    recutting.recut(lake.layout, ZoneInfo(NEW))
    warehouse.rebuild(lake.layout, NOON)
    assert interactions(lake) == interactions(wanted)
    assert sorted(path.name for path in lake.layout.lake.iterdir()) == [
        "attempts", "certificates", "days", "ledger", "versions",
    ]  # fmt: skip


def test_a_changed_zone_is_refused_until_then(tmp_path: Path) -> None:
    lake_in(OLD, tmp_path)
    with pytest.raises(ConfigurationError, match="history-pipeline rebuild"):
        identity.open_data_dir(tmp_path, server=SERVER, zone=NEW)


def test_a_rebuilt_warehouse_equals_the_one_that_it_replaces(tmp_path: Path) -> None:
    lake = lake_in(OLD, tmp_path)
    before = {name: lake.table(name, but=("loaded_at",)) for name in ("interactions", "coverage")}
    lake.layout.warehouse.with_name("warehouse.duckdb.wal").write_bytes(b"left by a kill")
    warehouse.rebuild(lake.layout, NOON)
    after = {name: lake.table(name, but=("loaded_at",)) for name in before}
    assert after == before
    assert lake.load() == warehouse.Loaded(0, 0, 24, 0, 0, 0), "nothing is left to load"


def test_a_rebuild_that_fails_leaves_the_warehouse_as_it_was(tmp_path: Path) -> None:
    lake = lake_in(OLD, tmp_path)
    before = lake.layout.warehouse.read_bytes()
    damaged = lake.layout.day_files()[0]
    shutil.copy(damaged, tmp_path / "kept")
    damaged.write_bytes(b"PAR1 and no more")
    with pytest.raises(StorageError):
        warehouse.rebuild(lake.layout, NOON)
    assert lake.layout.warehouse.read_bytes() == before
    shutil.copy(tmp_path / "kept", damaged)
    warehouse.rebuild(lake.layout, NOON)


def test_a_lake_without_days_can_be_recut(tmp_path: Path) -> None:
    layout = identity.open_data_dir(tmp_path, server=SERVER, zone=OLD)
    assert recutting.recut(Layout(tmp_path), ZoneInfo(NEW)) == 0
    assert identity.zone_of(layout) == NEW
