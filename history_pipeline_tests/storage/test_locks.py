"""One writer at a time, and whoever waits in vain can name the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from history_pipeline.errors import LockTimeout, StorageError
from history_pipeline.storage import locks
from history_pipeline.storage.locks import exclusive, turn

HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from history_pipeline.storage.locks import exclusive
with exclusive(Path(sys.argv[1]), "loading", float(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), 9)
"""


@contextlib.contextmanager
def started(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock."""
    with started(HOLD_AND_DIE, path, 5) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


def queued(path: Path) -> None:
    """Returns once somebody waits for the lock."""
    deadline = time.monotonic() + 30
    while locks.holder(path.with_suffix(".queue")) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_waits_in_vain_is_told_who_holds_it_and_why(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.lock"
    with exclusive(path, "loading the warehouse", 0):
        with pytest.raises(LockTimeout) as caught, exclusive(path, "publishing", 0):
            raise AssertionError("two writers")
        assert f"process {os.getpid()} (loading the warehouse)" in str(caught.value)
        assert "warehouse.lock" in str(caught.value)


def test_a_long_wait_says_once_for_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "UNTIL_SAID", 0.1)
    path = tmp_path / "warehouse.lock"
    with (
        exclusive(path, "loading the warehouse", 0),
        pytest.raises(LockTimeout),
        exclusive(path, "publishing", 0.5),
    ):
        raise AssertionError("two writers")
    (said,) = caplog.messages
    assert said == (
        f"warehouse.lock is held by process {os.getpid()} (loading the warehouse); "
        "waiting 0.5 s for it"
    )


def test_in_vain_waiting_takes_nothing_from_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with exclusive(path, "first", 0):
        for _ in range(3):
            with pytest.raises(LockTimeout, match="first"), exclusive(path, "second", 0):
                pass


def test_a_lock_is_free_after_its_block_however_that_ended(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(RuntimeError), exclusive(path, "first", 0):
        raise RuntimeError("a fault")
    with exclusive(path, "second", 0):
        pass
    assert not path.with_suffix(".holder").exists()


def test_two_locks_do_not_know_each_other(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a.lock", "a", 0), exclusive(tmp_path / "b.lock", "b", 0):
        pass


def test_a_lock_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    with exclusive(tmp_path / "x.lock", "x", 0):
        assert stat.S_IMODE((tmp_path / "x.lock").stat().st_mode) == 0o600


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with holding(path) as holder:
        assert holder.stdin is not None
        with pytest.raises(LockTimeout, match=str(holder.pid)), exclusive(path, "me", 0):
            pass
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.wait() == -9
    with exclusive(path, "me", 0):
        assert str(os.getpid()) in path.with_suffix(".holder").read_text()


def test_the_name_of_a_dead_holder_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with holding(path) as holder:
        told = path.with_suffix(".holder").read_text()
        holder.kill()
        holder.wait()
    assert path.with_suffix(".holder").read_text() == told, "it could not tidy up"
    with FileLock(path):  # somebody who has not said its name yet
        with (
            pytest.raises(LockTimeout, match="another process") as caught,
            exclusive(path, "me", 0),
        ):
            pass
        assert str(holder.pid) not in str(caught.value)
        assert locks.holder(path) == "another process"
    assert locks.holder(path) is None


def test_a_killed_waiter_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with exclusive(path, "me", 0), started(HOLD_AND_DIE, path, "60") as waiter:
        queued(path)
        waiter.kill()
        waiter.wait()
    with exclusive(path, "me again", 0):
        pass


def test_who_gives_a_lock_up_and_wants_it_at_once_comes_after_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with contextlib.ExitStack() as stack:
        with exclusive(path, "the first window", 0):
            waiter = stack.enter_context(started(HOLD_AND_DIE, path, 60))
            queued(path)
        with pytest.raises(LockTimeout, match=str(waiter.pid)), exclusive(path, "next", 1):
            pass


async def test_a_coroutine_that_waits_can_be_cancelled_and_leaves_the_queue(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"

    async def wait() -> None:
        async with turn(path, "waiting", 60):
            raise AssertionError("two at once")

    with exclusive(path, "me", 0):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with turn(path, "next", 0):
        assert locks.holder(path) == f"process {os.getpid()} (next)"


def test_looking_for_the_holder_makes_no_file(tmp_path: Path) -> None:
    assert locks.holder(tmp_path / "x.lock") is None
    assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StorageError), exclusive(tmp_path / "a file" / "x.lock", "x", 0):
        pass
