"""What a cut answer lacks comes in its parts, whatever the server does at the edges of days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.errors import RequestRefused
from history_pipeline.gws import payloads
from history_pipeline.gws.inquiry import Answer
from history_pipeline.history.parting import Part, Parting
from history_pipeline.model import REQUESTABLE_MEDIA_TYPES
from history_pipeline_tests import virtual_time
from history_pipeline_tests.history.cutting_server import Cell, CuttingServer

FIRST = date(2026, 9, 30)
DAYS = 12
CAP = 10


def parted(server: CuttingServer, media_type: str | None = None, days: int = DAYS) -> Parting:
    whole = Part(FIRST, FIRST + timedelta(days=days - 1), media_type)

    async def go() -> Parting:
        parting = Parting(server.ask, whole, lambda length: length == server.cap)
        await parting.go_through(await server.ask(whole))
        return parting

    return virtual_time.run(go())


def a_day(number: int) -> date:
    return FIRST + timedelta(days=number)


def covered(server: CuttingServer) -> set[str]:
    """What the whole would have held, had it not been cut."""
    last = a_day(DAYS - 1)
    return {
        each
        for each in server.everything()
        if server.includes_to_date or not each.startswith(str(last))
    }


cells = st.tuples(st.integers(0, DAYS - 1).map(a_day), st.sampled_from(REQUESTABLE_MEDIA_TYPES))


@given(
    held=st.dictionaries(cells, st.integers(1, CAP - 1), max_size=40),
    includes_to_date=st.booleans(),
    obeys_sort=st.booleans(),
)
def test_where_each_day_and_type_is_below_the_limit_nothing_is_missing(
    held: dict[Cell, int], includes_to_date: bool, obeys_sort: bool
) -> None:
    server = CuttingServer(held, CAP, includes_to_date, obeys_sort)
    parting = parted(server)
    assert parting.is_whole
    assert set(parting.records) == covered(server)


@given(
    held=st.dictionaries(cells, st.integers(1, 3 * CAP), max_size=40),
    includes_to_date=st.booleans(),
    obeys_sort=st.booleans(),
)
def test_what_is_called_whole_is_whole(
    held: dict[Cell, int], includes_to_date: bool, obeys_sort: bool
) -> None:
    server = CuttingServer(held, CAP, includes_to_date, obeys_sort)
    parting = parted(server)
    assert set(parting.records) <= covered(server)
    if parting.is_whole:
        assert set(parting.records) == covered(server)


@pytest.mark.parametrize("includes_to_date", [True, False])
def test_a_day_and_type_above_the_limit_is_not_whole(includes_to_date: bool) -> None:
    server = CuttingServer({(a_day(3), "call"): CAP + 1}, CAP, includes_to_date)
    assert not parted(server).is_whole


@pytest.mark.parametrize("includes_to_date", [True, False])
def test_just_as_many_as_the_limit_are_proven_by_the_other_order(includes_to_date: bool) -> None:
    server = CuttingServer({(a_day(3), "call"): CAP}, CAP, includes_to_date)
    assert parted(server).is_whole


def test_where_order_is_not_obeyed_they_are_not_proven() -> None:
    server = CuttingServer({(a_day(3), "call"): CAP}, CAP, obeys_sort=False)
    assert not parted(server).is_whole


def test_a_media_type_that_was_asked_for_alone_is_not_asked_by_media_types() -> None:
    server = CuttingServer({(a_day(3), "call"): 3 * CAP, (a_day(3), "chat"): 4}, CAP)
    assert not parted(server, "call").is_whole
    assert {part.media_type for part in server.asked} == {"call"}


def test_a_single_day_is_asked_by_media_types_at_once() -> None:
    server = CuttingServer({(FIRST, "call"): 6, (FIRST, "chat"): 6}, CAP)
    parting = parted(server, days=1)
    assert parting.is_whole
    assert set(parting.records) == server.everything()
    assert len(server.asked) == 1 + len(REQUESTABLE_MEDIA_TYPES)


def test_two_halves_do_where_they_are_short_enough() -> None:
    server = CuttingServer({(a_day(n), "call"): 2 for n in (0, 1, 2, 9, 10, 11)}, CAP)
    parted(server)
    assert len(server.asked) == 3


def test_halves_are_asked_for_at_the_same_time() -> None:
    server = CuttingServer({(a_day(n), "call"): 2 for n in (0, 1, 2, 9, 10, 11)}, CAP)
    parted(server)
    assert server.together == 2


def test_where_a_half_fails_the_other_is_waited_for() -> None:
    server = CuttingServer({(a_day(n), "call"): CAP for n in (0, 11)}, CAP)
    whole = Part(FIRST, a_day(DAYS - 1))

    async def ask(part: Part) -> Answer:
        if part.first == whole.first:
            raise RequestRefused("the first half")
        return await server.ask(part)

    async def go() -> None:
        parting = Parting(ask, whole, lambda length: length == server.cap)
        with pytest.raises(RequestRefused, match="the first half"):
            await parting.go_through(payloads.array([]))
        assert server.asked and not server.asking

    virtual_time.run(go())


def test_a_fault_of_ours_is_not_hidden_by_a_half_that_failed() -> None:
    async def ask(part: Part) -> Answer:
        raise RequestRefused("the first half") if part.first == FIRST else KeyError("ours")

    parting = Parting(ask, Part(FIRST, a_day(DAYS - 1)), lambda length: False)
    with pytest.raises(KeyError, match="ours"):
        virtual_time.run(parting.go_through(payloads.array([])))
