"""When requests go out, on virtual time."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from history_pipeline.gws.pacing import LEEWAY, LONGEST_BACKOFF, Pace, PagePace
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


@pytest.mark.parametrize("per_second", [1, 5, 200])
def test_no_second_holds_more_than_the_bound_even_if_one_is_late(per_second: int) -> None:
    passed = virtual_time.run(moments(Pace(per_second), 3 * per_second))
    for first, one_too_many in zip(passed, passed[per_second:], strict=False):
        assert one_too_many - (first + LEEWAY) >= 1.0 - 1e-9


def test_less_than_one_a_second_is_a_rate_too() -> None:
    passed = virtual_time.run(moments(Pace(0.5), 5))
    gaps = [later - earlier for earlier, later in itertools.pairwise(passed)]
    assert min(gaps) >= 2.0


def test_where_others_may_have_asked_until_now_the_first_one_keeps_its_distance_too() -> None:
    assert min(virtual_time.run(moments(Pace(2, is_fresh=False), 3))) >= 0.5
    assert virtual_time.run(moments(Pace(0, is_fresh=False), 3)) == [0.0] * 3


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def test_calls_that_block_keep_the_rate_from_the_first_on() -> None:
    clock = Clock()
    pace = PagePace(4, clock.read, clock.sleep)
    passed = []
    for rest in (0.0, 0.0, 0.1, 7.0, 0.0):
        clock.now += rest
        pace.admit()
        passed.append(clock.now)
    gaps = [later - earlier for earlier, later in itertools.pairwise([100.0, *passed])]
    assert min(gaps) >= 0.25
    assert gaps[3] == 7.0, "who comes late does not wait"


def test_calls_that_block_do_not_wait_where_there_is_no_bound() -> None:
    clock = Clock()
    pace = PagePace(0, clock.read, clock.sleep)
    for _ in range(5):
        pace.admit()
    assert clock.now == 100.0


def test_without_a_bound_all_go_at_once() -> None:
    assert virtual_time.run(moments(Pace(0), 50)) == [0.0] * 50


def test_unused_seconds_are_not_saved_up() -> None:
    async def work() -> list[float]:
        pace = Pace(2)
        await pace.admit()
        await asyncio.sleep(100)
        return await moments(pace, 3)

    assert virtual_time.run(work()) == pytest.approx([100.0, 100.525, 101.05])


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
