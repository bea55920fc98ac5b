"""Sessions that end while they are in use, and what becomes of their requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from history_pipeline.simulator import Behaviour, RunningSimulator, Simulator, World
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=20, unreadable_share=0.0)
ONE = WORLD.contact_id(1)


@asynccontextmanager
async def opened(**switches: Any) -> AsyncIterator[tuple[RunningSimulator, PlainClient]]:
    behaviour = Behaviour(**switches)
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        yield server, client


async def test_an_http_session_serves_so_many_calls_without_the_polls() -> None:
    async with opened(http_session_requests=4) as (server, client):
        for _ in range(2):
            await client.accepted(ONE)
            assert len(await client.waiting()) == 1
        await client.accepted(ONE)
        assert (await client.ask(ONE))[0] == 403
        assert server.stats.http_sessions_expired == 0
        assert server.stats.snapshot()["faults"] == {"http_session_requests": 1}
        await client.get("/api/v2/me")
        [reply] = await client.connect()
        assert reply["error"] == "402::Unknown client"


async def test_an_http_session_lives_so_long_although_it_is_busy() -> None:
    async with opened(http_session_life=0.08) as (server, client):
        [reply] = await client.connect()
        assert reply["error"] == "402::Unknown client"
        assert server.stats.snapshot()["faults"] == {"http_session_life": 1}
        assert (await client.ask(ONE))[0] == 403


async def test_without_csrf_a_lost_session_accepts_what_it_can_not_answer() -> None:
    async with opened(csrf=False, http_session_requests=3) as (server, client):
        for _ in range(4):
            await client.accepted(ONE)
        await asyncio.sleep(0)
        assert server.stats.notifications_undeliverable == 2
        assert server.stats.in_flight == 0


@pytest.mark.parametrize(
    ("advice", "told"),
    [
        ("handshake", {"reconnect": "handshake", "interval": 0}),
        ("none", {"reconnect": "none", "interval": 0}),
        ("absent", None),
    ],
)
async def test_a_cometd_session_ends_with_its_last_request_and_the_advice_chosen(
    advice: str, told: dict[str, Any] | None
) -> None:
    async with opened(cometd_session_requests=2, lost_session_advice=advice) as (server, client):
        held = asyncio.create_task(client.connect())
        await client.accepted(ONE)
        assert len(await held) == 2
        held = asyncio.create_task(client.connect())
        await asyncio.sleep(0.02)
        await client.accepted(ONE)
        [reply] = await held
        assert (reply["successful"], reply["error"]) == (False, "402::Unknown client")
        assert reply.get("advice") == told
        [again] = await client.connect()
        assert again.get("advice") == told
        assert "advice" not in await client.subscribe()
        snapshot = server.stats.snapshot()
        assert snapshot["faults"] == {"cometd_session_requests": 1}
        assert snapshot["notifications"]["dropped"] == 1


async def test_a_cometd_session_lives_so_long_although_it_is_polled() -> None:
    async with opened(cometd_session_life=0.08) as (server, client):
        [reply] = await client.connect()
        assert reply["advice"]["reconnect"] == "handshake"
        assert server.stats.snapshot()["faults"] == {"cometd_session_life": 1}
        assert (await client.ask(ONE))[0] == 200, "the HTTP session lives on"


@pytest.mark.parametrize(("where", "expected"), [("server", 3), ("session", 1)])
async def test_reference_ids_go_on_or_start_again_after_a_handshake(
    where: str, expected: int
) -> None:
    async with opened(reference_ids=where) as (server, client):
        assert [await client.accepted(ONE) for _ in range(2)] == [1, 2]
        server.drop_cometd_sessions()
        await client.open()
        assert await client.accepted(ONE) == expected


async def test_two_sessions_count_for_themselves() -> None:
    behaviour = Behaviour(reference_ids="session")
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as one,
        PlainClient(server.url) as other,
    ):
        await one.open()
        await other.open()
        assert [await one.accepted(ONE), await other.accepted(ONE)] == [1, 1]
        assert len(await one.waiting()) == len(await other.waiting()) == 1


async def test_a_request_is_in_flight_until_its_notification_is_delivered() -> None:
    async with opened(latency_ms=(40, 40)) as (server, client):
        await asyncio.gather(*(client.accepted(ONE) for _ in range(5)))
        assert server.stats.in_flight == 5
        assert len(await client.notifications(5)) == 5
        snapshot = server.stats.snapshot()
        assert (snapshot["inFlight"], snapshot["mostInFlight"]) == (0, 5)
        assert snapshot["acceptedRequests"] == 5


@pytest.mark.parametrize("end", ["drop_cometd_sessions", "drop_http_sessions"])
async def test_a_request_is_dropped_with_its_session_and_not_answered_in_the_next(
    end: str,
) -> None:
    async with opened(latency_ms=(40, 40)) as (server, client):
        await asyncio.gather(*(client.accepted(ONE) for _ in range(3)))
        getattr(server, end)()
        assert server.stats.in_flight == 0
        await client.open()
        latest = await client.accepted(ONE)
        assert [one["referenceId"] for one in await client.notifications()] == [latest]
        snapshot = server.stats.snapshot()
        assert snapshot["notifications"]["dropped"] == 3
        assert (snapshot["mostInFlight"], snapshot["inFlight"]) == (3, 0)


async def test_what_is_asked_before_anybody_listens_is_answered_to_who_listens_when_it_is_due() -> (
    None
):
    behaviour = Behaviour(latency_ms=(30, 30))
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.get("/api/v2/me")
        reference_id = await client.accepted(ONE)
        await client.handshake()
        await client.subscribe()
        assert [one["referenceId"] for one in await client.notifications()] == [reference_id]
        assert server.stats.in_flight == 0
