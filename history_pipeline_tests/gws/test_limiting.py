"""The limit on requests in flight, against a queue on virtual time; every figure is reproducible."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from history_pipeline.gws.limiting import BEGINNING, Limiter
from history_pipeline_tests.families import mostly_slow
from history_pipeline_tests.neighbours.playing import (
    Fixed,
    Service,
    Shape,
    alike,
    heavy,
    play,
    various,
)


class Traced(Limiter):
    """Keeps the limit at each answer."""

    def __init__(self, most: int, floor: int = 1) -> None:
        super().__init__(most, floor)
        self.trace: list[tuple[float, int]] = []

    def answered(self, ticket: int, seconds: float, now: float) -> None:
        super().answered(ticket, seconds, now)
        self.trace.append((now, self.limit))

    def mean(self, start: float, end: float) -> float:
        limits = [limit for now, limit in self.trace if start <= now < end]
        return sum(limits) / len(limits)


# -- with agents on the server --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "best"),
    mostly_slow(
        [
            (Shape("few, alike", 6, 0.5, alike), 5),
            (Shape("8, heavy tail", 8, 1.0, heavy), 8),
        ]
    ),
    ids=lambda each: getattr(each, "name", None),
)
def test_agents_notice_less_than_a_tenth_and_nine_tenths_of_the_best_are_reached(
    shape: Shape, best: int
) -> None:
    """The best fixed limits are those that the sweep of `python -m
    history_pipeline_tests.neighbours` finds, which tries more servers, seeds and hours."""
    alone, fixed = play(shape, Fixed(0), 5400, 1), play(shape, Fixed(best), 5400, 1)
    limiter = Limiter(4 * shape.workers)
    adaptive = play(shape, limiter, 5400, 1)
    assert adaptive.growth(alone) < 0.1
    assert adaptive.throughput >= 0.9 * fixed.throughput
    assert adaptive.most_in_flight <= 4 * shape.workers


def test_a_capacity_that_is_halved_is_noticed_within_seconds() -> None:
    shape = Shape("16, halved", 16, 2.0, alike, changed=(8, 0.3))
    limiter = Traced(64)
    play(shape, limiter, 900, 1)
    assert limiter.mean(200, 450) > 12
    assert limiter.mean(460, 470) < 8
    assert limiter.mean(470, 900) < 7


def test_a_server_that_gets_slower_for_reasons_of_its_own_is_asked_as_before() -> None:
    shape = Shape("slower", 16, 0.1, alike, changed=(16, 0.9))
    limiter = Traced(12)
    play(shape, limiter, 2400, 1)
    assert limiter.mean(600, 1200) > 10.5
    assert limiter.mean(1800, 2400) > 10.5


@pytest.mark.parametrize("kind", [alike, various, heavy])
@pytest.mark.parametrize("seconds", [0.3, 0.002])
def test_where_nobody_waits_the_limit_is_the_most_that_is_allowed(
    kind: Callable[[float], Service], seconds: float
) -> None:
    shape = Shape("plenty", 1_000, 0.5, kind, seconds)
    limiter = Traced(16)
    lasts = 2_000 * seconds
    played = play(shape, limiter, lasts, 1)
    assert limiter.mean(lasts / 3, lasts) > 0.9 * 16
    assert played.most_in_flight == 16


def test_where_nobody_waits_the_most_is_reached_in_a_round_trip_each_time_it_doubles() -> None:
    limiter = Traced(64)
    play(Shape("plenty", 1_000, 0.5, alike), limiter, 60, 1)
    reached = next(now for now, limit in limiter.trace if limit == 64)
    assert reached < 8 * 0.3


# -- bounds ---------------------------------------------------------------------------------------


def answers(limiter: Limiter, count: int, seconds: float = 0.3, now: float = 0.0) -> None:
    """So many questions, with as many in flight as are allowed."""
    for _ in range(count):
        limiter.answered(limiter.admitted(limiter.limit), seconds, now)


@pytest.mark.parametrize(("most", "floor"), [(1, 1), (3, 1), (64, 1), (64, 9), (2, 5)])
def test_the_limit_stays_between_floor_and_most(most: int, floor: int) -> None:
    limiter = Limiter(most, floor)
    for seconds in itertools.chain([0.3] * 2_000, [3.0] * 2_000, [0.1] * 2_000):
        assert min(floor, most) <= limiter.limit <= most
        answers(limiter, 1, seconds)


def test_floor_and_most_that_are_equal_fix_it() -> None:
    limiter = Limiter(8, floor=8)
    for seconds in [0.3] * 500 + [9.0] * 500:
        answers(limiter, 1, seconds)
        limiter.refused(limiter.admitted(8), 0.0)
        assert limiter.limit == 8
    assert limiter.limits().decreases == 0


def test_it_begins_low_or_at_the_floor() -> None:
    assert Limiter(64).limit == BEGINNING
    assert Limiter(2).limit == 2
    assert Limiter(64, floor=20).limit == 20


def test_a_bound_of_the_hours_holds_at_once_and_goes_when_it_is_lifted() -> None:
    limiter = Limiter(64)
    answers(limiter, 500)
    assert limiter.limit == 64
    limiter.bound(3)
    assert limiter.limit <= 3
    answers(limiter, 3_000)
    assert limiter.limit <= 3
    limiter.bound(1_000)
    answers(limiter, 500)
    assert limiter.limit == 64


def test_a_limit_that_is_not_made_use_of_does_not_rise() -> None:
    limiter = Limiter(64)
    for _ in range(5_000):
        limiter.answered(limiter.admitted(1), 0.3, 0.0)
    assert limiter.limit == BEGINNING


# -- refusals -------------------------------------------------------------------------------------


def test_a_refusal_lowers_it_once_however_many_come_together() -> None:
    limiter = Limiter(64)
    answers(limiter, 500)
    tickets = [limiter.admitted(64) for _ in range(20)]
    for ticket in tickets:
        limiter.refused(ticket, 10.0)
    assert limiter.limit == int(64 * 0.7)
    assert (limiter.limits().decreases, limiter.limits().refusals) == (1, 1)


def test_what_was_refused_is_tried_again_after_a_while_and_then_a_longer_one() -> None:
    """A server that refuses whoever asks more than eight at once."""
    limiter, now, refused_at = Limiter(64), 0.0, []
    for _ in range(200_000):
        now += 0.3 / limiter.limit
        ticket = limiter.admitted(limiter.limit)
        if limiter.limit > 8:
            refused_at.append(now)
            limiter.refused(ticket, now)
        else:
            limiter.answered(ticket, 0.3, now)
    gaps = [later - earlier for earlier, later in itertools.pairwise(refused_at)]
    assert max(gaps) > 3_000
    assert len(refused_at) < 12
    assert limiter.limits().mean > 5.5


def test_after_a_single_refusal_the_most_is_reached_again_in_a_minute_or_two() -> None:
    """As of a server that was starting."""
    limiter = Limiter(64)
    limiter.refused(limiter.admitted(4), 0.0)
    assert limiter.limit == 2
    now = 0.0
    while now < 90:
        now += 0.3 / limiter.limit
        answers(limiter, 1, 0.3, now)
    assert limiter.limit >= int(0.7 * 64)


def test_one_request_in_fifty_that_fails_inside_changes_nothing() -> None:
    limiter = Limiter(16)
    for number in range(10_000):
        ticket = limiter.admitted(limiter.limit)
        if number % 50:
            limiter.answered(ticket, 0.3, 0.0)
        else:
            limiter.faulted(ticket, 0.0)
    assert limiter.limits().refusals == 0


def test_status_code_4_that_comes_in_numbers_is_a_refusal() -> None:
    limiter = Limiter(16)
    answers(limiter, 500)
    for _ in range(3):
        limiter.faulted(limiter.admitted(16), 0.0)
    assert limiter.limit == int(16 * 0.7)


# -- a client that is busy with itself ------------------------------------------------------------


def test_what_a_client_measures_that_comes_late_itself_lowers_nothing() -> None:
    limiter = Limiter(64)
    for _ in range(20_000):
        limiter.was_late(0.002)
        answers(limiter, 1, 0.0002 * limiter.limit)
    assert limiter.limit >= int(64 * 0.7)
    assert limiter.limits().decreases == 0


def test_what_the_limit_was_is_told_at_the_end() -> None:
    limiter = Limiter(8)
    answers(limiter, 100)
    assert str(limiter.limits()).startswith("8 at the end, ")
    assert limiter.limits().least <= BEGINNING <= limiter.limits().mean <= 8
