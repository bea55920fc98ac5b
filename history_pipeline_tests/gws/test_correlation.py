"""Whose answer it is, in whatever order replies and notifications come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.gws.correlation import Correlator


def correlator(**options: int) -> Correlator[str, str]:
    return Correlator(**options)


def test_a_notification_after_its_reply_finds_who_waits() -> None:
    pairs = correlator()
    assert pairs.accepted(pairs.sending("a"), "1") is None
    assert pairs.notified("1", "answer") == "a"


def test_a_notification_that_overtakes_its_reply_is_kept() -> None:
    pairs = correlator()
    ticket = pairs.sending("a")
    assert pairs.notified("1", "answer") is None
    assert pairs.accepted(ticket, "1") == "answer"
    assert pairs.outstanding == 0


def test_an_answer_is_given_once() -> None:
    pairs = correlator()
    pairs.accepted(pairs.sending("a"), "1")
    assert pairs.notified("1", "answer") == "a"
    assert pairs.notified("1", "again") is None


def test_a_repeated_early_notification_is_kept_once() -> None:
    pairs = correlator()
    ticket = pairs.sending("a")
    pairs.notified("1", "first")
    pairs.notified("1", "second")
    assert pairs.accepted(ticket, "1") == "first"
    assert pairs.notified("1", "third") is None


def test_a_notification_that_came_before_anything_was_sent_belongs_to_nobody() -> None:
    pairs = correlator()
    assert pairs.notified("1", "somebody else's") is None
    assert pairs.accepted(pairs.sending("a"), "1") is None
    assert pairs.notified("1", "answer") == "a"


def test_an_orphan_is_dropped_once_it_can_belong_to_nobody() -> None:
    pairs = correlator()
    first = pairs.sending("a")
    pairs.notified("9", "orphan")
    pairs.accepted(first, "1")
    # "9" came before this one was sent, so it is not its answer
    assert pairs.accepted(pairs.sending("b"), "9") is None
    assert pairs.notified("9", "answer") == "b"


def test_an_orphan_that_outlives_a_slow_neighbour_is_not_the_answer_of_a_later_request() -> None:
    pairs = correlator()
    slow = pairs.sending("slow")
    pairs.notified("9", "orphan")
    assert pairs.accepted(pairs.sending("b"), "9") is None
    assert pairs.notified("9", "answer") == "b"
    pairs.not_accepted(slow)


def test_a_refused_request_takes_its_orphans_with_it() -> None:
    pairs = correlator()
    ticket = pairs.sending("a")
    pairs.notified("1", "answer to what was refused")
    pairs.not_accepted(ticket)
    assert pairs.accepted(pairs.sending("b"), "1") is None


def test_a_ticket_may_be_given_up_twice() -> None:
    pairs = correlator()
    ticket = pairs.sending("a")
    pairs.not_accepted(ticket)
    pairs.not_accepted(ticket)


def test_a_forgotten_reference_id_waits_no_more() -> None:
    pairs = correlator()
    pairs.accepted(pairs.sending("a"), "1")
    pairs.forget(["1", "never known"])
    assert pairs.outstanding == 0
    assert pairs.notified("1", "late") is None


def test_every_attempts_reference_id_leads_to_who_asked() -> None:
    pairs = correlator()
    pairs.accepted(pairs.sending("a"), "1")
    pairs.accepted(pairs.sending("a"), "2")
    assert pairs.notified("1", "late") == "a"
    assert pairs.notified("2", "in time") == "a"


def test_early_notifications_are_bounded_and_the_oldest_goes_first() -> None:
    pairs = correlator(keep_early=2)
    tickets = [pairs.sending(name) for name in "abc"]
    for reference_id in ("1", "2", "3"):
        pairs.notified(reference_id, f"answer {reference_id}")
    assert pairs.accepted(tickets[0], "1") is None
    assert pairs.accepted(tickets[1], "2") == "answer 2"
    assert pairs.accepted(tickets[2], "3") == "answer 3"


def test_another_epoch_knows_nothing_of_this_ones_reference_ids() -> None:
    before, after = correlator(), correlator()
    before.accepted(before.sending("a"), "1")
    assert after.notified("1", "answer") is None


@given(st.permutations(range(12)))
def test_in_any_order_each_answer_reaches_its_own_asker(order: list[int]) -> None:
    """Each request's reply and notification are played in any order, foreign ones in between."""
    pairs: Correlator[int, str] = Correlator()
    tickets = {n: pairs.sending(n) for n in range(6)}
    answers: dict[int, list[str]] = {n: [] for n in range(6)}
    for move in order:
        n = move % 6
        if move < 6:
            early = pairs.accepted(tickets[n], str(n))
            if early is not None:
                answers[n].append(early)
        else:
            pairs.notified(f"foreign {n}", "foreign")
            asker = pairs.notified(str(n), f"answer {n}")
            if asker is not None:
                answers[asker].append(f"answer {n}")
    assert answers == {n: [f"answer {n}"] for n in range(6)}
    assert pairs.outstanding == 0


# -- a server that counts from 1 again -------------------------------------------------------------


def counted_to(last: int) -> Correlator[str, str]:
    """One whose server has answered so many."""
    pairs = correlator()
    for number in range(1, last + 1):
        pairs.accepted(pairs.sending("before"), str(number))
        assert pairs.notified(str(number), "answer") == "before"
    return pairs


def test_an_id_that_was_given_before_is_doubtful_while_an_earlier_request_has_none() -> None:
    pairs = counted_to(9)
    slow = pairs.sending("slow")
    later = pairs.sending("later")
    pairs.accepted(later, "3")
    assert pairs.notified("3", "whose?") is None, "it may be the slow one's"
    assert list(pairs.released()) == []
    pairs.accepted(slow, "10")
    assert list(pairs.released()) == [("later", "whose?")]
    assert pairs.notified("10", "answer") == "slow"
    assert pairs.outstanding == 0


def test_a_doubt_ends_with_an_earlier_request_that_is_not_accepted() -> None:
    pairs = counted_to(9)
    slow, later = pairs.sending("slow"), pairs.sending("later")
    assert pairs.notified("3", "early") is None
    assert pairs.accepted(later, "3") is None, "kept: it came before the slow one's reply"
    pairs.not_accepted(slow)
    assert list(pairs.released()) == [("later", "early")]


def test_who_is_forgotten_gets_nothing_that_was_held() -> None:
    pairs = counted_to(9)
    slow, later = pairs.sending("slow"), pairs.sending("later")
    pairs.accepted(later, "3")
    pairs.notified("3", "whose?")
    pairs.forget(["3"])
    pairs.not_accepted(slow)
    assert list(pairs.released()) == []


def test_ids_that_rise_are_never_held() -> None:
    pairs = counted_to(9)
    pairs.sending("slow")
    pairs.accepted(pairs.sending("later"), "11")
    assert pairs.notified("11", "answer") == "later"
