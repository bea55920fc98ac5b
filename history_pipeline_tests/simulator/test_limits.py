"""What the server bears at once, and within a second."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from history_pipeline.simulator import Behaviour, Call, Simulator, SwitchedFaults, World
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=20, unreadable_share=0.0)
ONE = WORLD.contact_id(1)
CALL = Call(1, "POST", "/")


def test_a_second_is_the_one_that_ends_now_and_the_refused_do_not_count() -> None:
    policy = SwitchedFaults(Behaviour(max_per_second=2))
    moments = [0.0, 0.1, 0.5, 0.9, 1.0, 1.05, 1.1]
    admitted = [now for now in moments if policy.over_limit(CALL, now, 0) is None]
    assert admitted == [0.0, 0.1, 1.0, 1.1]


def test_requests_in_flight_have_a_bound() -> None:
    policy = SwitchedFaults(Behaviour(max_in_flight=3))
    assert [policy.over_limit(CALL, 0.0, now) is None for now in (0, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]


def test_without_bounds_everything_is_admitted() -> None:
    policy = SwitchedFaults(Behaviour())
    assert all(policy.over_limit(CALL, 0.0, 1000) is None for _ in range(1000))


@pytest.mark.parametrize("status", [429, 503])
async def test_what_is_over_the_bound_in_flight_is_refused_until_there_is_room(
    status: int,
) -> None:
    switches: dict[str, Any] = {"max_in_flight": 2, "over_limit_status": str(status)}
    behaviour = Behaviour(latency_ms=(30, 30), retry_after=3, **switches)
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        replies = await asyncio.gather(*(client.ask_raw(ONE) for _ in range(5)))
        assert sorted(reply.status for reply in replies) == [200, 200, *[status] * 3]
        refused = next(reply for reply in replies if reply.status == status)
        assert refused.headers["Retry-After"] == "3"
        assert len(await client.notifications(2)) == 2
        assert (await client.ask_raw(ONE)).status == 200
        snapshot = server.stats.snapshot()
        assert snapshot["mostInFlight"] == 2
        assert snapshot["faults"] == {"over_in_flight": 3}
        assert snapshot["rejectedByStatus"] == {str(status): 3}


async def test_what_is_over_the_rate_is_refused() -> None:
    async with (
        Simulator(WORLD, Behaviour(max_per_second=3)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        replies = [await client.ask_raw(ONE) for _ in range(5)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        assert (await client.get("/api/v2/contacts"))[0] == 200, "only history is bounded"
        assert server.stats.snapshot()["faults"] == {"over_per_second": 2}
