"""One writer at a time, and whoever waits in vain can name the other."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from history_pipeline.errors import LockTimeout, StorageError
from history_pipeline.storage.locks import exclusive

HOLD_AND_DIE = """
import os, sys
from pathlib import Path
from history_pipeline.storage.locks import exclusive
with exclusive(Path(sys.argv[1]), "loading", 5):
    print("held", flush=True)
    sys.stdin.readline()
    os.kill(os.getpid(), 9)
"""


def test_who_waits_in_vain_is_told_who_holds_it_and_why(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.lock"
    with exclusive(path, "loading the warehouse", 0):
        with pytest.raises(LockTimeout) as caught, exclusive(path, "publishing", 0):
            raise AssertionError("two writers")
        assert f"process {os.getpid()} (loading the warehouse)" in str(caught.value)
        assert "warehouse.lock" in str(caught.value)


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
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_DIE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockTimeout, match=str(holder.pid)), exclusive(path, "me", 0):
            pass
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.wait() == -9
    with exclusive(path, "me", 0):
        assert str(os.getpid()) in path.with_suffix(".holder").read_text()


def test_a_lock_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(StorageError), exclusive(tmp_path / "a file" / "x.lock", "x", 0):
        pass
