"""What `history_pipeline.definitions` holds, with and without a configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from history_pipeline.defs import dbt_project, home, turns
from history_pipeline.errors import ConfigurationError, LockTimeout
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.dagster_ui.site import bare_environment, run_python

_TELL = """
import json
from history_pipeline.definitions import defs
from history_pipeline.defs import dbt_project, partitions
graph = defs.resolve_asset_graph()
print(json.dumps({
    "assets": [key.to_user_string() for key in graph.get_all_asset_keys()],
    "checks": {
        f"{key.asset_key.to_user_string()}:{key.name}": graph.get(key).blocking
        for key in graph.asset_check_keys
    },
    "undescribed": [
        str(key)
        for key in [*graph.get_all_asset_keys(), *graph.asset_check_keys]
        if not graph.get(key).description
    ],
    "unowned": [str(key) for key in graph.get_all_asset_keys() if not graph.get(key).owners],
    "of no kind": [str(key) for key in graph.get_all_asset_keys() if not graph.get(key).kinds],
    "of no group": [str(key) for key in graph.get_all_asset_keys() if not graph.get(key).group_name],
    "executor": defs.resolve_job_def("daily").executor_def.name,
    "schedules": [schedule.name for schedule in defs.schedules],
    "sensors": [sensor.name for sensor in defs.sensors],
    "zone": partitions.days.timezone,
    "start": str(partitions.days.start.date()),
    "together": partitions.policy.max_partitions_per_run,
    "data": str(dbt_project.environment_layout().root),
}))
"""


def told_by_definitions(cwd: Path) -> dict[str, Any]:
    done = run_python(_TELL, cwd=cwd, environment=bare_environment())
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_definitions_load_without_any_configuration(
    tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "data")
    told = told_by_definitions(tmp_path)
    assert {"contacts", "interactions", "warehouse", "published"} <= set(told["assets"])
    marts = {
        f"marts/{path.stem}" for path in (dbt_project.directory() / "models/marts").glob("*.sql")
    }
    assert len(marts) > 10
    assert marts <= set(told["assets"])
    own = ("interactions:", "warehouse:")
    assert {name: blocks for name, blocks in told["checks"].items() if name.startswith(own)} == {
        "interactions:answers_are_whole": False,
        "interactions:every_request_answered": False,
        "interactions:sources_available": False,
        "warehouse:no_duplicate_ids": False,
        "warehouse:rejects": False,
        "warehouse:freshness": False,
    }
    assert told["undescribed"] == told["unowned"] == told["of no kind"] == told["of no group"] == []
    assert "report" in told["assets"]
    assert told["executor"] == "in_process"
    assert told["schedules"] == ["daily_backfill"]
    assert told["sensors"] == ["dead_runs", "failures"]
    assert (told["zone"], told["start"], told["together"]) == ("UTC", "2015-01-01", 31)


@pytest.mark.slow
def test_partitions_follow_the_env_file_that_the_settings_read(
    tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "elsewhere")
    (tmp_path / ".env").write_text(
        "GWS_TIMEZONE=America/New_York\nHISTORY_START_DATE=2026-09-01\n"
        "HISTORY_WINDOW_DAYS=7\nHISTORY_DATA_DIR=elsewhere\n"
    )
    told = told_by_definitions(tmp_path)
    assert (told["zone"], told["start"], told["together"]) == ("America/New_York", "2026-09-01", 7)
    assert told["data"] == str(tmp_path / "elsewhere")


@pytest.fixture
def own_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    return monkeypatch


def test_the_pipelines_own_dagster_home_has_telemetry_off(
    tmp_path: Path, own_environment: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    assert home.prepare(layout) == layout.dagster_home
    assert os.environ["DAGSTER_HOME"] == str(layout.dagster_home)
    with dg.DagsterInstance.from_config(str(layout.dagster_home)) as instance:
        assert not instance.telemetry_enabled
        queue = instance.run_coordinator.get_run_queue_config()
        assert queue.max_concurrent_runs > 2, "two commands' windows leave room for the daily run"
        assert queue.tag_concurrency_limits == [{"key": "dagster/backfill", "limit": 1}]


@pytest.mark.parametrize("place", ["theirs", "dagster"])
def test_a_dagster_home_that_the_user_set_is_used_and_not_written_to(
    tmp_path: Path, own_environment: pytest.MonkeyPatch, place: str
) -> None:
    theirs = tmp_path / place  # the second is where ours would be
    theirs.mkdir()
    own_environment.setenv("DAGSTER_HOME", str(theirs))
    assert home.prepare(Layout(tmp_path)) == theirs
    assert list(theirs.iterdir()) == []
    assert os.environ["DAGSTER_HOME"] == str(theirs)


def test_a_dagster_home_that_is_no_directory_is_a_mistake_of_configuration(
    tmp_path: Path, own_environment: pytest.MonkeyPatch
) -> None:
    own_environment.setenv("DAGSTER_HOME", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match="DAGSTER_HOME"):
        home.prepare(Layout(tmp_path))


def test_a_step_that_finds_a_lock_held_comes_again() -> None:
    with pytest.raises(dg.RetryRequested) as asked, turns.awaited(patience=3):
        raise LockTimeout("extraction.lock is held by process 7; waited 10 s")
    assert asked.value.max_retries == 3


def test_a_step_without_patience_says_who_holds_the_lock() -> None:
    with pytest.raises(LockTimeout, match="process 7"), turns.awaited(patience=0):
        raise LockTimeout("extraction.lock is held by process 7; waited 10 s")
