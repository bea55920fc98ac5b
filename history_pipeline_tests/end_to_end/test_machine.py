"""What the machine does to a run: a disk that fills up or turns read-only, and somebody who holds
the warehouse. Each is named with what to do about it; done, the same run goes on, asks nothing
again that it has put down, and the warehouse equals the world."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from history_pipeline.errors import ConfigurationError, LockTimeout, Unwritable
from history_pipeline.history import extraction
from history_pipeline.history.extraction import utc_now
from history_pipeline.model import Window
from history_pipeline.storage import publishing, warehouse
from history_pipeline_tests.dagster_ui.site import Site, history_requests
from history_pipeline_tests.end_to_end import command, disk
from history_pipeline_tests.end_to_end.disk import Disk
from history_pipeline_tests.end_to_end.place import (
    DAYS,
    OPEN,
    PACED,
    PLANNED,
    Place,
    copied,
    holding,
    spoil,
)
from history_pipeline_tests.end_to_end.running import environment, rows
from history_pipeline_tests.end_to_end.test_world import ASKED
from history_pipeline_tests.families import mostly_slow

KILOBYTE = 1024


@pytest.fixture
def place(paced_server: str, tmp_path: Path) -> Place:
    return Place(paced_server, tmp_path / "data")


@pytest.fixture
def cramped(paced_server: str, tight: Disk) -> Place:
    return Place(paced_server, tight.root / "data")


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Disk]:
    with disk.mounted(tmp_path / "disk") as made:
        yield made


# -- the disk ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_however_little_room_there_is_each_try_goes_on_from_the_one_before(
    cramped: Place, tight: Disk
) -> None:
    failed_at = []
    room = 0
    while True:
        tight.leave(room * KILOBYTE)
        put_down, before = cramped.put_down(), history_requests(cramped.url)
        try:
            cramped.go_on(**PACED)
        except Unwritable as exc:
            failed_at.append(str(exc))
        else:
            break
        finally:
            assert history_requests(cramped.url) - before <= PLANNED - put_down
        room = room * 4 // 3 + 8
    for where in ("identity.json", "contacts", "/parts/", "/tmp/", "warehouse.duckdb"):
        assert [each for each in failed_at if where in each], failed_at
    assert all("No space left on device; make room" in each for each in failed_at)
    cramped.check()


@pytest.mark.slow
@pytest.mark.parametrize("trouble", mostly_slow(["full", "read-only"]))
def test_a_disk_that_fails_while_parts_are_written_costs_no_part_that_is_whole(
    cramped: Place, tight: Disk, trouble: str
) -> None:
    a_second = 8
    settings = cramped.settings(**PACED | {"GWS_REQUESTS_PER_SECOND": str(a_second)})
    attempt = cramped.opened(settings)
    before = history_requests(cramped.url)

    async def ask_until_it_fails() -> None:
        asking = asyncio.create_task(
            extraction.extract(settings, cramped.layout, DAYS, run_id=attempt.run_id)
        )
        while not cramped.put_down():
            assert not asking.done()
            await asyncio.sleep(0.01)
        if trouble == "full":
            tight.leave(0)
            await asking
        with tight.read_only():
            await asking

    with pytest.raises(Unwritable) as caught:
        asyncio.run(ask_until_it_fails())
    wording = {"full": "No space left", "read-only": "Read-only file system; have it mounted"}
    assert wording[trouble] in str(caught.value)
    put_down = cramped.put_down()
    assert 0 < put_down < PLANNED
    lost = history_requests(cramped.url) - before - put_down
    assert lost <= 2 * a_second + int(PACED["GWS_CONCURRENCY"]), "it is noticed at once"
    tight.make_room()
    assert cramped.go_on() == PLANNED - put_down
    cramped.check()


def test_a_disk_that_is_read_only_at_the_start_is_no_mistake_in_the_settings(
    cramped: Place, tight: Disk
) -> None:
    with tight.read_only(), pytest.raises(Unwritable, match="Read-only file system; have it"):
        cramped.go_on()
    cramped.go_on()
    with tight.read_only(), pytest.raises(Unwritable, match="Read-only file system; have it"):
        cramped.go_on()
    cramped.check()


def test_without_room_for_a_copy_the_published_file_stays_the_old_one(
    cramped: Place, tight: Disk
) -> None:
    cramped.go_on()
    publishing.mark_modelled(cramped.layout)
    publishing.publish(cramped.layout)
    old = cramped.layout.published.read_bytes()
    tight.leave(100 * KILOBYTE)
    with pytest.raises(Unwritable, match=r"history\.duckdb.*No space left on device; make room"):
        publishing.publish(cramped.layout)
    assert cramped.layout.published.read_bytes() == old
    cramped.check()


def test_without_room_for_a_rebuild_the_warehouse_stays_the_old_one(
    cramped: Place, tight: Disk
) -> None:
    cramped.go_on()
    tight.leave(100 * KILOBYTE)
    with pytest.raises(Unwritable, match="No space left on device; make room"):
        warehouse.rebuild(cramped.layout, utc_now())
    cramped.check()


# -- somebody else -------------------------------------------------------------------------------

HOLDERS = {
    "a DuckDB that writes": ("warehouse.duckdb", OPEN.format(False)),
    "a DuckDB that reads": ("warehouse.duckdb", OPEN.format(True)),
    "another pipeline": (
        "warehouse.lock",
        "from history_pipeline.storage import locks; from pathlib import Path; "
        "held = locks.exclusive(Path(sys.argv[1]), 'loading', 0); held.__enter__()",
    ),
    "another program, by the lock file": (
        "warehouse.lock",
        "import fcntl; held = open(sys.argv[1], 'a'); fcntl.flock(held, fcntl.LOCK_EX)",
    ),
}


@pytest.mark.parametrize(("held", "code"), mostly_slow(HOLDERS.values()), ids=HOLDERS)
def test_who_holds_the_warehouse_is_named_and_what_was_asked_is_loaded_next_time(
    place: Place, held: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.go_on(Window(DAYS.start, DAYS.start + timedelta(days=1)))
    monkeypatch.setenv("HISTORY_LOCK_SECONDS", "0.3")
    with holding(place.root / held, code) as holder:
        with pytest.raises(LockTimeout) as caught:
            place.go_on()
        assert f"{held} is held by process {holder.pid}" in str(caught.value)
        assert "waited 0.3 s" in str(caught.value)
        with pytest.raises(LockTimeout):
            place.go_on()
    assert place.go_on() == 0, "what is in the lake is not asked again"
    place.check()


@pytest.mark.slow
def test_who_lets_the_warehouse_go_in_time_is_waited_for(place: Place) -> None:
    place.go_on(Window(DAYS.start, DAYS.start + timedelta(days=1)))
    code = f"{OPEN.format(False)}; import threading, os; threading.Timer(1, os._exit, [0]).start()"
    with holding(place.layout.warehouse, code):
        place.go_on()
    place.check()


def test_a_wait_that_is_no_number_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv("HISTORY_LOCK_SECONDS", wrong)
        with pytest.raises(ConfigurationError, match="HISTORY_LOCK_SECONDS"):
            warehouse.load(place.layout, utc_now())


# -- the whole command ---------------------------------------------------------------------------

BACKFILL = ("backfill", "--from", DAYS.start.isoformat(), "--to", DAYS.last.isoformat())


def site_of(place: Place, root: Path) -> Site:
    told = environment(
        place.url,
        place.root,
        HISTORY_START_DATE=DAYS.start.isoformat(),
        HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
        HISTORY_LOCK_SECONDS="1",
    )
    return Site(root, told | PACED | {"GWS_NOTIFICATION_TIMEOUT": "30"})


def fails(
    site: Site, moment: Callable[[], bool] = lambda: True, then: Callable[[], object] = int
) -> str:
    """What the command says; it ends with status 4, on one screen and without a traceback."""
    with command.started(BACKFILL, site.environment(), site.root) as running:
        running.until(moment)
        then()
        assert running.status() == 4, running.screen()
        assert running.left_behind() == []
    screen = running.screen()
    assert "Traceback" not in screen
    assert "[SQL" not in screen
    assert "unforeseen" not in screen
    assert len(screen.splitlines()) < 24, screen
    told = [line for line in screen.splitlines() if line.startswith("history-pipeline: ")]
    assert len(told) == 1, screen
    return told[0]


@pytest.mark.slow
def test_a_backfill_whose_disk_fails_again_and_again_goes_on_each_time_and_ends_right(
    cramped: Place, tight: Disk, tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(cramped.root)
    site = site_of(cramped, tmp_path)
    before = history_requests(cramped.url)
    in_dbt = cramped.layout.dbt / "target" / "dbt.log"

    tight.leave(64 * KILOBYTE)
    assert "No space left on device; make room" in fails(site), "not even Dagster has room"
    tight.make_room()
    told = fails(site, lambda: cramped.put_down() > 0, lambda: tight.leave(0))
    assert "No space left on device; make room, and the same command goes on" in told
    lost = history_requests(cramped.url) - before - cramped.put_down()
    put_down = cramped.put_down()
    tight.make_room()
    with tight.read_only():
        assert "Read-only file system; have it mounted writable" in fails(site)
    told = fails(
        site,
        lambda: in_dbt.exists() and "OK created" in in_dbt.read_text(),
        lambda: tight.leave(0),
    )
    assert "No space left on device; make room" in told
    assert not cramped.layout.published.exists(), "nothing half published"
    tight.make_room()
    with command.started(BACKFILL, site.environment(), site.root) as running:
        assert running.status() == 0, running.screen()
    assert 0 < put_down < PLANNED
    assert history_requests(cramped.url) - before == PLANNED + lost, (
        "what is put down is not asked again"
    )
    cramped.check()
    count = "select count(*) from marts.interactions"
    assert rows(cramped.layout, count, cramped.layout.published) == rows(cramped.layout, count)


@pytest.mark.slow
def test_a_backfill_names_who_holds_the_warehouse_and_a_damaged_one_is_rebuilt(
    loaded: Place, tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    place = copied(loaded, tmp_path)
    seed_dbt(place.root)
    site = site_of(place, tmp_path)
    ledgers = len(place.layout.window_ledgers())
    with holding(place.layout.warehouse, OPEN.format(False)) as holder:
        assert f"warehouse.duckdb is held by process {holder.pid}" in fails(site)
    assert len(place.layout.window_ledgers()) == ledgers + 1, "what was answered is in the lake"
    spoil(place.layout.warehouse, "cut in half")
    asked = history_requests(place.url)
    assert "history-pipeline rebuild makes it anew from the lake" in fails(site)
    rebuilt = site.history_pipeline("rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert history_requests(place.url) == asked, (
        "the run that was kept from loading is gone on with"
    )
    place.check()
    count = "select count(*) from marts.interactions"
    assert rows(place.layout, count, place.layout.published) == rows(place.layout, count)
