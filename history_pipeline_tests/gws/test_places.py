"""What is in flight keeps to the limit of the moment: the client's own places, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from history_pipeline.errors import Interrupted, PipelineError
from history_pipeline.gws.client import GwsClient, Inquiry
from history_pipeline.gws.limiting import Limiter
from history_pipeline.gws.login import HTTP_TIMEOUT
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.places import LOOKS, Places
from history_pipeline.gws.wire import Reply
from history_pipeline_tests import virtual_time
from history_pipeline_tests.gws.scripted_server import (
    CHANNEL,
    NOTIFICATIONS,
    Call,
    ScriptedServer,
    json_reply,
)


def test_who_comes_first_is_served_first() -> None:
    served: list[int] = []

    async def one(places: Places, number: int) -> None:
        async with places:
            served.append(number)
            await asyncio.sleep(1)

    async def work() -> None:
        places = Places(Limiter(2, floor=2))
        await asyncio.gather(*(one(places, number) for number in range(7)))
        assert not places.locked()

    virtual_time.run(work())
    assert served == list(range(7))


def test_whose_turn_has_come_in_vain_is_next() -> None:
    served: list[str] = []

    async def one(places: Places, name: str, *, is_next: bool) -> None:
        await places.take(is_next=is_next)
        served.append(name)
        places.give_back()

    async def work() -> None:
        places = Places(Limiter(1, floor=1))
        async with places:
            waiting = [
                asyncio.create_task(one(places, name, is_next=name == "in vain"))
                for name in ("first", "second", "in vain")
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    virtual_time.run(work())
    assert served == ["in vain", "first", "second"]


def test_who_is_cancelled_and_passed_over_at_once_is_no_error() -> None:
    async def work() -> None:
        places = Places(Limiter(1, floor=1))
        await places.take()
        waiting = asyncio.create_task(places.take())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)  # its future is cancelled, and it has not run yet
        places.give_back()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not places.locked()

    virtual_time.run(work())


def test_who_is_cancelled_while_waiting_or_just_served_keeps_no_place() -> None:
    async def work() -> None:
        places = Places(Limiter(1, floor=1))

        async def hold() -> None:
            async with places:
                await asyncio.sleep(10)

        async with places:
            waiting = [asyncio.create_task(hold()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.sleep(0)
        waiting[0].cancel()  # it has been given the place, and has not run yet
        await asyncio.sleep(0.1)
        assert places.locked(), "the third one has it"
        waiting[2].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert not places.locked()

    virtual_time.run(work())


class Counting(ScriptedServer):
    """Counts what is in flight: accepted, and not notified yet."""

    def __init__(self, refuses_above: int = 1_000, latency: float = 0.3) -> None:
        super().__init__(latency=latency)
        self.refuses_above = refuses_above
        self.in_flight = 0
        self.seen: list[tuple[float, int]] = []
        self.refused_at: list[float] = []
        self.always["history"] = self._ask_history

    def _ask_history(self, call: Call) -> Reply:
        if self.in_flight >= self.refuses_above:
            self.refused_at.append(call.at)
            return json_reply({}, status=429)
        self.in_flight += 1
        self.seen.append((call.at, self.in_flight))
        reference, reply = self.accept()
        asyncio.get_running_loop().call_later(self.latency, self._notify, reference)
        return reply

    def _notify(self, reference: int) -> None:
        self.in_flight -= 1
        self.notify(reference)

    def most(self, start: float, end: float) -> int:
        return max((count for at, count in self.seen if start <= at < end), default=0)


def backfill(
    server: ScriptedServer,
    seconds: float,
    most: int,
    hours_bound: Callable[[float], int | None] | None = None,
    **options: Any,
) -> GwsClient:
    """As many as are configured ask one question after the other for so long."""

    async def whole() -> GwsClient:
        client = GwsClient(
            server,
            notifications_path=NOTIFICATIONS,
            channel=CHANNEL,
            canary_interval=30.0,
            in_flight=most,
            floor=1,
            hours_bound=hours_bound,
            **({"pace": Pace(0), "deadline": 60.0} | options),
        )
        loop = asyncio.get_running_loop()

        async def ask() -> None:
            number = 0
            while loop.time() < seconds:
                number += 1
                question = Inquiry(f"/contacts/{id(asyncio.current_task())}-{number}", b"{}")
                while question.answer is None:
                    try:
                        await client.attempt(question)
                    except Interrupted:
                        await asyncio.sleep(0.2)
                    except PipelineError:
                        pass
                client.forget(question)

        async with client:
            await asyncio.gather(*(ask() for _ in range(most)))
        return client

    return virtual_time.run(whole())


def test_where_the_server_bears_it_the_most_is_in_flight_within_seconds_and_never_more() -> None:
    server = Counting()
    client = backfill(server, 60, 16)
    assert server.most(0, 5) == server.most(0, 60) == 16
    assert client.limits.mean > 13


def test_a_server_that_refuses_more_than_six_is_asked_less_and_is_seldom_tried() -> None:
    server = Counting(refuses_above=6)
    client = backfill(server, 600, 16)
    assert server.most(60, 600) <= 6
    assert client.limits.refusals >= 1
    rests = sum(later - earlier > 30 for earlier, later in pairwise(server.refused_at))
    assert 1 <= rests <= 6
    assert len([at for at in server.refused_at if at > 60]) < 0.005 * len(server.seen)


def test_in_business_hours_no_more_are_in_flight_than_their_bound_from_their_first_second() -> None:
    """Also where answers take long: what was asked before has ended by then."""
    begins, ends = 300.0, 600.0
    server = Counting(latency=20.0)

    def bound(lead: float) -> int | None:
        now = asyncio.get_running_loop().time()
        return 2 if begins - lead <= now < ends else None

    backfill(server, 900, 16, bound)
    lead = HTTP_TIMEOUT + 60.0 + LOOKS
    assert server.most(0, begins - lead - 1) > 2
    assert server.most(begins, ends) <= 2
    assert server.most(ends + 60, 900) > 2


@pytest.mark.parametrize("per_second", [2.0, 20.0])
def test_requests_a_second_keep_to_their_bound_where_places_are_scarce(per_second: float) -> None:
    server = Counting(refuses_above=3)
    backfill(server, 120, 16, pace=Pace(per_second))
    asked = [call.at for call in server.of("history")]
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert min(gaps) >= 1 / per_second - 1e-6
