"""When requests go out, on virtual time."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from history_pipeline.gws.pacing import LONGEST_BACKOFF, Pace
from history_pipeline_tests import virtual_time


async def moments(pace: Pace, count: int) -> list[float]:
    """When so many that ask at once are let through."""
    loop = asyncio.get_running_loop()
    passed: list[float] = []

    async def one() -> None:
        await pace.admit()
        passed.append(loop.time())

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
    return passed


@pytest.mark.parametrize("per_second", [0.5, 1.0, 5.0, 200.0])
def test_no_second_holds_more_than_the_bound(per_second: float) -> None:
    passed = virtual_time.run(moments(Pace(per_second), 50))
    gaps = [later - earlier for earlier, later in itertools.pairwise(passed)]
    assert min(gaps) >= 1 / per_second - 1e-9


def test_without_a_bound_all_go_at_once() -> None:
    assert virtual_time.run(moments(Pace(0), 50)) == [0.0] * 50


def test_unused_seconds_are_not_saved_up() -> None:
    async def work() -> list[float]:
        pace = Pace(2)
        await pace.admit()
        await asyncio.sleep(100)
        return await moments(pace, 3)

    assert virtual_time.run(work()) == pytest.approx([100.0, 100.5, 101.0])


@pytest.mark.parametrize("per_second", [0.0, 10.0])
def test_nothing_goes_out_while_the_server_rests(per_second: float) -> None:
    async def work() -> list[float]:
        pace = Pace(per_second)
        assert pace.hold(30.0) == 30.0
        return await moments(pace, 5)

    passed = virtual_time.run(work())
    assert min(passed) >= 30.0
    assert max(passed) <= 31.0


def test_a_longer_rest_is_not_cut_by_a_shorter_one() -> None:
    async def work() -> list[float]:
        pace = Pace(0)
        pace.hold(30.0)
        pace.hold(1.0)
        return await moments(pace, 1)

    assert virtual_time.run(work()) == [30.0]


def test_a_rest_that_is_prolonged_while_somebody_waits_is_kept() -> None:
    async def work() -> list[float]:
        pace = Pace(0)
        pace.hold(5.0)
        waiting = asyncio.create_task(moments(pace, 1))
        await asyncio.sleep(4)
        pace.hold(10.0)
        return await waiting

    assert virtual_time.run(work()) == [14.0]


def test_rests_without_a_length_grow_up_to_a_bound_and_shrink_on_success() -> None:
    async def work() -> list[float]:
        pace = Pace(0)
        lengths = [pace.hold(None) for _ in range(9)]
        pace.relax()
        return [*lengths, pace.hold(None)]

    assert virtual_time.run(work()) == [1, 2, 4, 8, 16, 32, LONGEST_BACKOFF, 60, 60, 1]


def test_who_waits_for_a_turn_heeds_a_rest_that_begins_meanwhile() -> None:
    async def work() -> list[float]:
        pace = Pace(1)
        waiting = asyncio.create_task(moments(pace, 10))
        await asyncio.sleep(2.5)
        pace.hold(60.0)
        return await waiting

    passed = virtual_time.run(work())
    assert [at for at in passed if 2.5 < at < 62.5] == []
