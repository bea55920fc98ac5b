"""Files that are not what was written there: each is named with what to do about it; done, the
same run goes on, asks nothing again that is whole, and the warehouse equals the world."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from history_pipeline.contacts import reading
from history_pipeline.errors import Damaged, StorageError
from history_pipeline.history.extraction import utc_now
from history_pipeline.model import Window
from history_pipeline.storage import contact_list, publishing, warehouse
from history_pipeline_tests.end_to_end.place import DAMAGES, PLANNED, Place, copied, spoil
from history_pipeline_tests.end_to_end.running import rows
from history_pipeline_tests.families import mostly_slow

damages = pytest.mark.parametrize("damage", mostly_slow(DAMAGES))


@pytest.mark.parametrize(
    ("name", "damage"),
    mostly_slow(
        [
            *(("observations", damage) for damage in DAMAGES),
            ("ledger", "no bytes"),
            ("ledger", "overwritten within"),
            ("rejects", "cut in half"),
        ]
    ),
)
def test_a_damaged_part_is_named_and_once_removed_it_is_asked_for_again(
    broken_off: Place, tmp_path: Path, name: str, damage: str
) -> None:
    place = copied(broken_off, tmp_path)
    (spoilt, *_) = sorted(place.layout.attempts.glob(f"*/parts/*/part-*/{name}.parquet"))
    spoil(spoilt, damage)
    for _ in range(2):
        with pytest.raises(Damaged) as caught:
            place.go_on()
        assert str(caught.value) == (
            f"{spoilt.parent} is damaged: remove it, and what it held is asked for again"
        )
    shutil.rmtree(spoilt.parent)
    kept = place.put_down()
    assert place.go_on() == PLANNED - kept
    place.check()


def test_a_part_that_has_lost_its_ledger_is_named(broken_off: Place, tmp_path: Path) -> None:
    place = copied(broken_off, tmp_path)
    (ledger, *_) = sorted(place.layout.attempts.glob("*/parts/*/part-*/ledger.parquet"))
    ledger.unlink()
    with pytest.raises(Damaged, match=f"{ledger.parent} is damaged: remove it"):
        place.go_on()


@pytest.mark.parametrize(
    ("name", "damage"), [("attempt.json", "no bytes"), ("contacts.parquet", "overwritten within")]
)
def test_what_a_run_has_noted_at_its_start_is_named_where_it_is_damaged(
    broken_off: Place, tmp_path: Path, name: str, damage: str
) -> None:
    place = copied(broken_off, tmp_path)
    (spoilt,) = place.layout.attempts.glob(f"*/{name}")
    spoil(spoilt, damage)
    with pytest.raises(Damaged) as caught:
        place.go_on()
    assert str(caught.value) == f"{spoilt.parent} is damaged: remove it, and a new run begins"
    shutil.rmtree(spoilt.parent)
    place.go_on()
    place.check()


@damages
def test_a_damaged_day_is_named_and_once_removed_it_is_asked_for_again(
    in_the_lake: Place, tmp_path: Path, damage: str
) -> None:
    place = copied(in_the_lake, tmp_path)
    spoilt = spoil(place.layout.day_files()[1], damage)
    with pytest.raises(Damaged) as caught:
        place.go_on()
    remedy = "history-pipeline backfill --from 2026-10-02 --to 2026-10-02"
    assert str(caught.value).startswith(f"{spoilt} is damaged: put a copy of it back, or remove it")
    assert str(caught.value).endswith(remedy)
    spoilt.unlink()
    place.go_on(Window(date(2026, 10, 2), date(2026, 10, 3)))
    place.check()


@pytest.mark.parametrize("damage", mostly_slow(["cut in half", "overwritten within"]))
def test_a_damaged_day_that_is_asked_for_anew_is_named_before_it_is_replaced(
    loaded: Place, tmp_path: Path, damage: str
) -> None:
    place = copied(loaded, tmp_path)
    spoilt = spoil(place.layout.day_files()[1], damage)
    before = spoilt.read_bytes()
    with pytest.raises(Damaged, match=f"{spoilt} is damaged: put a copy of it back"):
        place.go_on()
    assert spoilt.read_bytes() == before
    spoilt.unlink()
    assert place.go_on() == 0, "its answers are in the parts"
    place.check()


@pytest.mark.parametrize(
    ("name", "damage"),
    mostly_slow(
        [
            ("ledger.parquet", "no bytes"),
            ("ledger.parquet", "overwritten within"),
            ("rejects.parquet", "something else"),
            ("run.json", "cut in half"),
        ]
    ),
)
def test_a_damaged_ledger_is_named_and_once_removed_its_days_are_asked_for_again(
    in_the_lake: Place, tmp_path: Path, name: str, damage: str
) -> None:
    place = copied(in_the_lake, tmp_path)
    (directory,) = place.layout.window_ledgers()
    spoil(directory / name, damage)
    with pytest.raises(Damaged) as caught:
        place.go_on()
    assert str(caught.value).startswith(f"{directory} is damaged: put a copy of it back, or remove")
    assert str(caught.value).endswith("backfill --from 2026-10-01 --to 2026-10-05")
    shutil.rmtree(directory)
    assert place.go_on() == PLANNED
    place.check()


@damages
def test_a_damaged_contact_list_is_named_and_once_removed_it_is_read_anew(
    in_the_lake: Place, tmp_path: Path, damage: str
) -> None:
    place = copied(in_the_lake, tmp_path)
    listed = contact_list.current_ids(place.layout)
    spoilt = spoil(place.layout.contacts, damage)
    before = spoilt.read_bytes()
    users = (
        lambda: reading.read(place.settings(), place.layout, utc_now()),
        lambda: contact_list.current_ids(place.layout),
        lambda: warehouse.load(place.layout, utc_now()),
    )
    for use in users:
        with pytest.raises(Damaged) as caught:
            use()
        assert str(caught.value).startswith(f"{spoilt} is damaged: put a copy of it back, or")
        assert spoilt.read_bytes() == before
    spoilt.unlink()
    reading.read(place.settings(), place.layout, utc_now())
    assert contact_list.current_ids(place.layout).equals(listed)
    place.go_on()
    place.check()


@damages
def test_a_damaged_warehouse_is_named_and_made_anew_from_the_lake(
    loaded: Place, tmp_path: Path, damage: str
) -> None:
    place = copied(loaded, tmp_path)
    spoil(place.layout.warehouse, damage)
    with pytest.raises(StorageError) as caught:
        warehouse.load(place.layout, utc_now())
    assert str(place.layout.warehouse) in str(caught.value)
    assert "history-pipeline rebuild makes it anew" in str(caught.value)
    warehouse.rebuild(place.layout, utc_now())
    place.check()


@damages
def test_a_damaged_published_file_is_replaced_if_it_was_ours_and_left_alone_otherwise(
    loaded: Place, tmp_path: Path, damage: str
) -> None:
    place = copied(loaded, tmp_path)
    publishing.mark_modelled(place.layout)
    publishing.publish(place.layout)
    spoilt = spoil(place.layout.published, damage)
    before = spoilt.read_bytes()
    if before[8:12] != b"DUCK":
        with pytest.raises(StorageError, match="no DuckDB file.*move it away"):
            publishing.publish(place.layout)
        assert spoilt.read_bytes() == before
        spoilt.unlink()
    publishing.publish(place.layout)
    count = "select count(*) from raw_gws.interactions"
    assert rows(place.layout, count, spoilt) == rows(place.layout, count)
