"""Which reference ids are a question's own, when a server counts from 1 again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from history_pipeline.bayeux.session import ClientSession
from history_pipeline.errors import Ambiguous, EpochLost
from history_pipeline.gws.epoch import Epoch
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.telling_apart import ReferenceIds
from history_pipeline_tests import virtual_time

DEADLINE = 60.0
GRACE = 5.0


def on_virtual_time(work: Callable[[ReferenceIds], Awaitable[None]]) -> None:
    async def whole() -> None:
        await work(ReferenceIds(DEADLINE))

    virtual_time.run(whole())


def question() -> Inquiry:
    return Inquiry("/contacts/c/interactions", b"{}")


def epoch() -> Epoch:
    return Epoch(ClientSession())


def lost(ids: ReferenceIds, over: Epoch) -> None:
    over.over.set()
    ids.lost(over)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_id_that_is_unanswered_and_given_again_shows_another_session() -> None:
    async def work(ids: ReferenceIds) -> None:
        one = epoch()
        ids.accepted(one, question(), "1")
        ids.accepted(one, question(), "2")
        with pytest.raises(EpochLost, match="counted to 1 again"):
            ids.accepted(one, question(), "1")
        ids.answered(one, "2")
        ids.accepted(one, question(), "2")

    on_virtual_time(work)


def test_an_id_of_a_lost_session_is_ambiguous_while_something_may_come_for_it() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new, doubtful = epoch(), epoch(), question()
        ids.accepted(old, question(), "7")
        lost(ids, old)
        with pytest.raises(Ambiguous):
            ids.accepted(new, doubtful, "7")
        assert list(doubtful.owed) == ["7"]
        assert ids.is_ambiguous(new, "7")
        assert not doubtful.owed
        assert not ids.is_ambiguous(new, "7")
        await asyncio.sleep(GRACE + 0.1)
        ids.accepted(new, question(), "7")

    on_virtual_time(work)


def test_what_was_accepted_while_the_session_was_alive_is_lost_with_it() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new = epoch(), epoch()
        ids.accepted(old, question(), "7")
        await asyncio.sleep(1)
        old.alive_at = now()
        ids.accepted(old, question(), "8")
        lost(ids, old)
        ids.accepted(new, question(), "7")
        with pytest.raises(Ambiguous):
            ids.accepted(new, question(), "8")

    on_virtual_time(work)


def test_an_id_that_comes_after_the_epoch_is_one_of_a_lost_session() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new = epoch(), epoch()
        lost(ids, old)
        with pytest.raises(EpochLost):
            ids.accepted(old, question(), "1")
        with pytest.raises(Ambiguous):
            ids.accepted(new, question(), "1")

    on_virtual_time(work)


def test_once_a_server_is_known_for_it_nothing_is_asked_until_all_has_come() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new = epoch(), epoch()
        ids.accepted(old, question(), "1")
        lost(ids, old)
        await ids.until_clear(new)
        assert now() == 0, "not known yet"
        with pytest.raises(Ambiguous):
            ids.accepted(new, question(), "1")
        asyncio.get_running_loop().call_later(1.0, ids.unmatched, "1")
        await ids.until_clear(new)
        assert now() == pytest.approx(1.0, abs=0.2)

    on_virtual_time(work)


def test_it_is_given_up_after_a_while_that_the_slowest_answer_makes_longer() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new = epoch(), epoch()
        ids.accepted(old, question(), "1")
        await asyncio.sleep(2)
        ids.answered(old, "1")
        ids.accepted(old, question(), "2")
        lost(ids, old)
        with pytest.raises(Ambiguous):
            ids.accepted(new, question(), "2")
        started = now()
        await ids.until_clear(new)
        assert now() - started == pytest.approx(GRACE + 4 * 2, abs=0.2)

    on_virtual_time(work)


def test_nobody_waits_for_it_in_an_epoch_that_is_over() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new = epoch(), epoch()
        ids.accepted(old, question(), "1")
        lost(ids, old)
        with pytest.raises(Ambiguous):
            ids.accepted(new, question(), "1")
        new.over.set()
        await ids.until_clear(new)
        assert now() == 0

    on_virtual_time(work)


async def a_lost_reply_and_its_session(ids: ReferenceIds, highest: int) -> None:
    old = epoch()
    ids.accepted(old, question(), str(highest))
    ids.answered(old, str(highest))
    ids.nameless(old)
    lost(ids, old)


def test_a_session_is_not_opened_while_something_may_come_under_an_id_that_nobody_knows() -> None:
    async def work(ids: ReferenceIds) -> None:
        await a_lost_reply_and_its_session(ids, highest=20)
        await ids.until_openable()
        assert now() == pytest.approx(GRACE)

    on_virtual_time(work)


def test_a_reply_that_was_lost_after_the_session_counts_as_well() -> None:
    async def work(ids: ReferenceIds) -> None:
        old = epoch()
        lost(ids, old)
        await asyncio.sleep(2)
        ids.nameless(old)
        await ids.until_openable()
        assert now() == pytest.approx(2 + GRACE)

    on_virtual_time(work)


def test_what_was_asked_while_the_session_was_alive_is_not_waited_for() -> None:
    async def work(ids: ReferenceIds) -> None:
        old = epoch()
        ids.nameless(old)
        await asyncio.sleep(1)
        old.alive_at = now()
        lost(ids, old)
        await ids.until_openable()
        assert now() == 1

    on_virtual_time(work)


def test_a_server_that_counts_on_is_not_waited_for() -> None:
    async def work(ids: ReferenceIds) -> None:
        await a_lost_reply_and_its_session(ids, highest=5_000)
        await ids.until_openable()
        assert now() == pytest.approx(GRACE), "not known yet"
        new = epoch()
        ids.accepted(new, question(), "5001")
        ids.nameless(new)
        lost(ids, new)
        await ids.until_openable()
        assert now() == pytest.approx(GRACE)

    on_virtual_time(work)


def test_one_that_has_begun_again_and_come_as_far_does_not_count_on() -> None:
    async def work(ids: ReferenceIds) -> None:
        await a_lost_reply_and_its_session(ids, highest=5_000)
        new = epoch()
        ids.accepted(new, question(), "3")
        ids.accepted(new, question(), "5001")
        ids.nameless(new)
        lost(ids, new)
        await ids.until_openable()
        assert now() == pytest.approx(GRACE)

    on_virtual_time(work)


def test_a_doubtful_id_may_be_that_of_a_question_whose_reply_was_lost() -> None:
    async def work(ids: ReferenceIds) -> None:
        one = epoch()
        ids.accepted(one, question(), "2", is_doubtful=True)
        ids.nameless(one)
        ids.accepted(one, question(), "3")
        with pytest.raises(Ambiguous):
            ids.accepted(one, question(), "1", is_doubtful=True)

    on_virtual_time(work)


def test_a_doubtful_id_shows_another_session_once_a_server_is_known_for_it() -> None:
    async def work(ids: ReferenceIds) -> None:
        one = epoch()
        ids.accepted(one, question(), "1")
        with pytest.raises(EpochLost):
            ids.accepted(one, question(), "1")
        with pytest.raises(EpochLost, match="counted to 2 again"):
            ids.accepted(epoch(), question(), "2", is_doubtful=True)

    on_virtual_time(work)


def test_after_a_session_that_was_used_up_by_waiting_it_is_waited_before_the_next() -> None:
    async def work(ids: ReferenceIds) -> None:
        old, new = epoch(), epoch()
        ids.accepted(old, question(), "1")
        lost(ids, old)
        with pytest.raises(Ambiguous):
            ids.accepted(new, question(), "1")
        lost(ids, new)
        await ids.until_openable()
        assert now() == pytest.approx(GRACE)

    on_virtual_time(work)
