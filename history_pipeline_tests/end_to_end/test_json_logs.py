"""With HISTORY_LOG_FORMAT=json, whatever a command that runs by itself says is an object a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from history_pipeline_tests.end_to_end.running import PASSWORD, Span, environment, simulator
from history_pipeline_tests.end_to_end.test_commands import command

SPAN = Span(date(2026, 10, 1), date(2026, 10, 4), contacts=8)
DAYS = ("--from", "2026-10-01", "--to", "2026-10-03")
JSON = {"HISTORY_LOG_FORMAT": "json"}


def objects(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= each.keys() for each in found)
    return found


def test_mistakes_of_configuration_are_one_object(tmp_path: Path) -> None:
    told = environment("gws", tmp_path / "data", GWS_CONCURRENCY="none")
    done = command({**told, **JSON}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    (line,) = objects(done.stderr)
    assert line["level"] == "error"
    assert "GWS_URL" in line["message"]
    assert "GWS_CONCURRENCY" in line["message"]
    assert done.stdout == ""


def test_another_format_is_a_mistake_beside_all_others(tmp_path: Path) -> None:
    told = environment("gws", tmp_path / "data", HISTORY_LOG_FORMAT="yaml")
    done = command(told, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    assert "HISTORY_LOG_FORMAT" in done.stderr
    assert "GWS_URL" in done.stderr


def test_the_format_may_stand_in_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HISTORY_LOG_FORMAT=json\n")
    done = command({}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    assert objects(done.stderr)


@pytest.mark.slow
def test_a_whole_backfill_says_nothing_else(
    tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "data")
    with simulator(SPAN, "--cometd-session-requests", "10") as url:
        told = environment(url, tmp_path / "data", GWS_CONCURRENCY="2", **JSON)
        done = command(told, "backfill", *DAYS, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr
    said, logged = objects(done.stdout), objects(done.stderr)
    (begun,) = [each for each in said if "8 contacts" in each["message"]]
    assert begun["message"].startswith(f"run {begun['run_id']}: ")
    assert any("16 requests planned = 16 answered" in each["message"] for each in said)
    lost = [each for each in logged if "channel lost" in each["message"]]
    assert {each["run_id"] for each in lost} == {begun["run_id"]}
    assert {each["level"] for each in lost} == {"warning"}
    assert PASSWORD not in done.stdout + done.stderr
