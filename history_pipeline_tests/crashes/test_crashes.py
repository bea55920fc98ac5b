"""SIGKILL at random moments and before random system calls, then a run to the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from history_pipeline_tests.crashes import kills
from history_pipeline_tests.crashes.scene import MOST_ASKED_AGAIN, NEVER, PYTHON, STEP, Scene
from history_pipeline_tests.crashes.twins import TWINS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", range(10))
def test_killed_and_run_again_it_ends_as_if_undisturbed(
    stage: Scene, number: int, tmp_path: Path
) -> None:
    kill = kills.drawn(10, stage.calls, stage.seconds, seed=4)[number]
    outcome = stage.killed([kill], tmp_path)
    assert outcome.asked_again <= MOST_ASKED_AGAIN * outcome.kills
    assert outcome.content == stage.undisturbed


def test_killed_again_and_again_too(stage: Scene, tmp_path: Path) -> None:
    outcome = stage.killed(kills.drawn(4, stage.calls, stage.seconds, seed=5), tmp_path)
    assert outcome.content == stage.undisturbed


@pytest.mark.parametrize("twin", TWINS)
def test_with_a_fault_in_what_is_written_a_kill_is_seen(
    stage: Scene, twin: str, tmp_path: Path
) -> None:
    work = [*PYTHON, "-m", "history_pipeline_tests.crashes.twins", twin, *STEP[-2:]]
    try:
        outcome = replace(stage, work=work).killed([NEVER], tmp_path)
    except AssertionError as exc:
        # the run after the kill ends with an error
        assert "Damaged: " in str(exc)
        return
    assert outcome.kills == 1
    assert outcome.content != stage.undisturbed or outcome.asked_again > MOST_ASKED_AGAIN
