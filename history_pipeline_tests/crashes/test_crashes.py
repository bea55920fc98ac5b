"""SIGKILL at random moments and before random system calls, then a run to the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from history_pipeline_tests.crashes import kills
from history_pipeline_tests.crashes.scene import MOST_ASKED_AGAIN, Scene, scene

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("scene"), traced=kills.can_trace()) as made:
        yield made


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
