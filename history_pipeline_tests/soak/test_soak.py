"""What the soak would say of a run that leaks."""

from __future__ import annotations

import pytest

from history_pipeline_tests.soak.__main__ import Sample, figures

MB = 2**20


def samples(*, memory: float = 0.0, sockets: float = 0.0, tasks: float = 0.0) -> list[Sample]:
    """Half an hour, one a second; the arguments grow by so much each minute. Every eighth second a
    part is being written."""
    return [
        Sample(
            at,
            int((130 + memory * at / 60 + 20 * (at % 8 == 0)) * MB),
            20 + at % 3 + int(sockets * at / 60),
            30 + at % 5 + int(tasks * at / 60),
        )
        for at in range(1_800)
    ]


def test_a_run_that_stays_as_it_is_passes() -> None:
    assert figures(samples()).is_flat
    assert figures(samples(memory=0.2)).is_flat, "4 MB in twenty minutes"


@pytest.mark.parametrize("leak", [{"memory": 0.3}, {"sockets": 0.3}, {"tasks": 0.3}], ids=str)
def test_a_leak_is_seen(leak: dict[str, float]) -> None:
    assert not figures(samples(**leak)).is_flat
