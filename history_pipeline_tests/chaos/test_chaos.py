"""Seeded histories of client and collector end as they must; and the judge is no friend of theirs.

`python -m history_pipeline_tests.chaos --seed N` plays one of them again and shrinks it.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from history_pipeline_tests.chaos import judging
from history_pipeline_tests.chaos.histories import History, drawn
from history_pipeline_tests.chaos.playing import Played, play

IN_A_HURRY, IN_FULL = range(25), range(25, 525)
COUNTS_AGAIN = (("latency_ms", (1, 20)), ("cometd_session_requests", 20),
                ("reference_ids", "session"))  # fmt: skip


COUNTS_AGAIN_UNHEARD = History(
    125, contacts=40, windows=1, concurrency=16, per_second=0.0, deadline=60.0, canary=30.0,
    switches=(*COUNTS_AGAIN, ("reset_after_share", 0.1)),
    lost=(("reply lost", 0.03),), lost_at="history")  # fmt: skip
"""HTTP replies that would have told a reference id are lost."""


def complaints(history: History) -> list[str]:
    return list(judging.complaints(play(history)))


@pytest.mark.parametrize("seed", IN_A_HURRY)
def test_a_history_ends_as_it_must(seed: int) -> None:
    assert complaints(drawn(seed)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(IN_FULL.start, IN_FULL.stop, 50))
def test_five_hundred_histories_end_as_they_must(first: int) -> None:
    wrong = {seed: found for seed in range(first, first + 50) if (found := complaints(drawn(seed)))}
    assert wrong == {}


@pytest.mark.parametrize("seed", range(6))
def test_a_server_that_counts_from_one_again_mixes_nothing_up(seed: int) -> None:
    """What was asked on the way from a lost session is answered in the next one, under an id that
    a later question has as well."""
    history = History(seed, contacts=40, windows=1, concurrency=16, per_second=0.0, deadline=60.0,
                      canary=30.0, switches=COUNTS_AGAIN)  # fmt: skip
    assert complaints(history) == []


@pytest.mark.parametrize("seed", [*range(5), 51, 125])
def test_nor_where_the_replies_that_tell_the_ids_are_lost(seed: int) -> None:
    assert complaints(replace(COUNTS_AGAIN_UNHEARD, seed=seed)) == []


def test_the_same_number_is_the_same_history() -> None:
    assert str(drawn(7)) == str(drawn(7))
    first, second = play(drawn(7)), play(drawn(7))
    assert first.seconds == second.seconds
    assert first.collected.outcomes == second.collected.outcomes
    assert str(drawn(7)) != str(drawn(8))


# -- the judge -------------------------------------------------------------------------------------


@pytest.fixture
def well() -> Played:
    """A history without any trouble, for tests to spoil."""
    played = play(History(3, contacts=12, windows=2, concurrency=4, per_second=0.0, deadline=20.0,
                          canary=10.0))  # fmt: skip
    assert list(judging.complaints(played)) == []
    return played


def test_an_answer_that_is_lost_on_the_way_is_seen(well: Played) -> None:
    request, answers = next(each for each in well.collected.answers.items() if each[1][0])
    well.collected.answers[request] = [[]]
    assert any("are missing" in told for told in judging.complaints(well))
    well.collected.answers[request] = [answers[0] * 2]
    assert any("come twice" in told for told in judging.complaints(well))


def test_an_answer_of_somebody_else_is_seen(well: Played) -> None:
    answers = well.collected.answers
    one, other = [request for request, found in answers.items() if found[0]][:2]
    answers[one], answers[other] = answers[other], answers[one]
    assert sum("not its own" in told for told in judging.complaints(well)) == 2


def test_one_wrong_value_is_seen(well: Played) -> None:
    record = next(found[0] for found in well.collected.answers.values() if found[0])
    record[0] = msgspec.Raw(bytes(record[0]).replace(b'"id":"', b'"id":"x'))
    told = list(judging.complaints(well))
    assert any("not its own" in each for each in told)


def test_a_request_without_an_end_is_seen_and_one_with_two(well: Played) -> None:
    last = well.collected.outcomes.pop()
    assert any("was never put down" in told for told in judging.complaints(well))
    well.collected.outcomes += [last, last]
    assert any("ended 2 times" in told for told in judging.complaints(well))


def test_attempts_that_nothing_has_spent_are_seen(well: Played) -> None:
    first = well.collected.outcomes[0]
    well.collected.outcomes[0] = replace(first, attempts=2)
    assert any("spent 2 attempts" in told for told in judging.complaints(well))


def test_one_too_many_in_flight_is_seen(well: Played) -> None:
    well.most_in_flight = well.history.concurrency + 1
    assert any("in flight" in told for told in judging.complaints(well))
