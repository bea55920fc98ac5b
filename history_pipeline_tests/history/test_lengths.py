"""A length is suspect where a server that cuts would show it."""

from __future__ import annotations

import pytest

from history_pipeline.history.lengths import Lengths


def lengths(*taken: int) -> Lengths:
    found = Lengths()
    for number, length in enumerate(taken):
        found.take(f"c{number}", length)
    return found


@pytest.mark.parametrize(
    ("taken", "length", "is_suspect"),
    [
        ((), 100, True),
        ((), 50, True),
        ((), 128, True),
        ((), 1_000, True),
        ((), 99, False),
        ((), 73, False),
        ((73,), 73, False),
        ((73, 73), 73, True),
        ((73, 73, 80), 73, False),
        ((73,), 72, False),
        ((73,), 74, False),
        ((73, 80), 73, False),
        ((9,), 9, False),
        ((10, 10), 10, True),
        ((9, 9), 9, False),
        ((0, 0, 1), 1, False),
        ((), 0, False),
        ((173,), 100, False),
        ((173,), 200, True),
    ],
)
def test_round_numbers_and_repeated_ones_are_suspect_while_nothing_is_longer(
    taken: tuple[int, ...], length: int, is_suspect: bool
) -> None:
    assert lengths(*taken).is_suspect(length) is is_suspect


def test_a_length_that_was_cut_once_stays_suspect_until_a_longer_one_comes() -> None:
    found = lengths(25)
    found.was_cut(25)
    assert found.is_suspect(25)
    found.take("c1", 31)
    assert not found.is_suspect(25), "what was missing had come in meanwhile"


def test_a_length_that_was_whole_three_times_is_no_limit() -> None:
    found = lengths(30, 30)
    for _ in range(2):
        found.was_whole(30)
        assert found.is_suspect(30)
    found.was_whole(30)
    assert not found.is_suspect(30)


def test_a_cut_names_those_whose_answers_were_as_long() -> None:
    found = lengths(12, 40, 40, 3)
    assert found.was_cut(40) == ["c1", "c2"]
    assert found.was_cut(40) == []


def test_a_cut_elsewhere_names_nobody() -> None:
    assert lengths(40).was_cut(30) == []


def test_the_longest_is_unproven_until_one_like_it_was_looked_into() -> None:
    found = lengths(12, 40, 3)
    assert found.unproven() == ["c1"]
    found.was_whole(40)
    assert found.unproven() == []


def test_short_answers_are_never_unproven() -> None:
    assert lengths(9, 3).unproven() == []


def test_another_window_remembers_lengths_and_nobody() -> None:
    found = lengths(40, 40)
    found.begin()
    assert found.unproven() == []
    assert not found.is_suspect(40), "it has come once or twice elsewhere"
    assert found.was_cut(40) == []
    assert found.is_suspect(40)
