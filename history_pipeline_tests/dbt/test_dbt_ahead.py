"""dbt that is begun before it is wanted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from history_pipeline.defs import dbt_ahead, dbt_project
from history_pipeline.storage.layout import Layout

DEADLINE = 60


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def starter() -> ModuleType:
    """A module that starts processes, as dagster-dbt does."""
    module = ModuleType("starter")
    vars(module)["subprocess"] = subprocess
    return module


def _helped(starter: ModuleType, directory: Path) -> subprocess.Popen[bytes]:
    """dbt that tells how it is used, in colours if the environment wants them."""
    with dbt_ahead.used_by(starter):
        process: subprocess.Popen[bytes] = vars(starter)["subprocess"].Popen(
            args=[*dbt_project.command(), "parse", "--help"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            cwd=directory,
        )
    return process


def _said(process: subprocess.Popen[bytes]) -> str:
    told, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, told
    return told.decode()


def test_the_one_that_waits_does_what_it_is_told_once(
    layout: Layout, starter: ModuleType, tmp_path: Path
) -> None:
    with dbt_ahead.begun(layout) as waiting:
        processes = [_helped(starter, tmp_path) for _ in range(2)]
        assert [process is waiting for process in processes] == [True, False]
        assert all("dbt parse" in _said(process) for process in processes)
    assert waiting is not None
    assert waiting.args == [*dbt_project.command(), "parse", "--help"]
    assert vars(starter)["subprocess"] is subprocess


def test_unwanted_it_is_gone_with_the_block(layout: Layout) -> None:
    with dbt_ahead.begun(layout) as waiting:
        assert waiting is not None
        assert waiting.poll() is None
    assert waiting.poll() is not None


def test_wanted_and_still_at_work_it_is_gone_with_the_block(
    layout: Layout, starter: ModuleType, tmp_path: Path
) -> None:
    with dbt_ahead.begun(layout):
        process = _helped(starter, tmp_path)
    assert process.returncode is not None


def test_where_no_process_can_be_started_the_block_goes_on(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbt_project, "command", lambda: ["/no/such/program"])
    with dbt_ahead.begun(layout) as waiting:
        assert waiting is None


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [False, True], ids=["waited too long", "killed"])
def test_where_it_is_gone_another_one_is_started(
    layout: Layout, starter: ModuleType, tmp_path: Path, is_killed: bool
) -> None:
    with dbt_ahead.begun(layout, 60.0 if is_killed else 0.0) as waiting:
        assert waiting is not None
        if is_killed:
            waiting.kill()
        waiting.wait(DEADLINE)
        process = _helped(starter, tmp_path)
        assert process is not waiting
        assert "dbt parse" in _said(process)


@pytest.mark.slow
def test_it_ends_with_what_has_begun_it(layout: Layout) -> None:
    """What closes when that process is killed is its end of the pipe."""
    with dbt_ahead.begun(layout) as waiting:
        assert waiting is not None
        assert waiting.stdin is not None
        waiting.stdin.close()
        assert waiting.wait(DEADLINE) == 1
