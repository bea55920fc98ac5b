"""Which sizes are asked for, and which lengths are suspect."""

from __future__ import annotations

import pytest

from history_pipeline.contacts.sizes import SIZES, Lengths, MaxSize
from history_pipeline.model import Source


@pytest.mark.parametrize("limit", [100, 101, 137, 500, 700, 999, 1_999, 4_096, 9_999])
def test_the_size_comes_close_to_what_is_granted_at_most(limit: int) -> None:
    size, questions, is_granted = MaxSize(), 0, False
    while not is_granted or size.enlarge():
        questions += 1
        if size.size <= limit:
            size.grant()
            is_granted = True
        else:
            assert size.refuse()
    assert limit * 0.9 < size.size <= limit
    assert questions < 14


def test_what_is_granted_at_once_is_not_enlarged() -> None:
    size = MaxSize()
    size.grant()
    assert size.is_tried
    assert not size.enlarge()
    assert size.size == SIZES[0]


def test_a_server_that_grants_less_than_before_is_asked_for_less() -> None:
    size = MaxSize()
    size.grant()
    assert size.refuse()
    assert size.size == SIZES[1]
    assert not size.is_tried


def test_there_is_nothing_smaller_than_the_smallest() -> None:
    size = MaxSize()
    assert [size.refuse() for _ in SIZES] == [True] * (len(SIZES) - 1) + [False]


@pytest.mark.parametrize(
    ("length", "is_suspect"),
    [(0, False), (9, False), (11, False), (100, True), (50, True), (64, True), (1_024, True),
     (999, False), (1_000, True), (5_000, True), (5_001, True), (32, True), (31, False)],
)  # fmt: skip
def test_full_answers_and_round_numbers_are_suspect(length: int, is_suspect: bool) -> None:
    assert Lengths().may_be_cut(length, 5_000, Source.MAIN) == is_suspect


def test_a_length_that_comes_again_is_suspect() -> None:
    lengths = Lengths()
    assert [lengths.may_be_cut(37, 5_000, Source.MAIN) for _ in range(2)] == [False, True]
    assert [lengths.may_be_cut(7, 5_000, Source.MAIN) for _ in range(2)] == [False, False]


def test_what_was_cut_once_bounds_all_that_comes_from_there() -> None:
    lengths = Lengths()
    lengths.cut_at(37, Source.MAIN)
    assert not lengths.may_be_cut(36, 5_000, Source.MAIN)
    assert lengths.may_be_cut(38, 5_000, Source.MAIN)
    assert not lengths.may_be_cut(41, 5_000, Source.ARCHIVE)
