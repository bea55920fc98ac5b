"""Notifications that go wrong: at their rate, the same again with the same seed, and how."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from history_pipeline.simulator import (
    Behaviour,
    Delivery,
    Faults,
    HistoryCall,
    RunningSimulator,
    Simulator,
    SwitchedFaults,
    World,
)
from history_pipeline.simulator.strangers import OTHER_TYPES
from history_pipeline_tests.simulator.plain_client import CHANNEL, PlainClient

WORLD = World(contacts=60, unreadable_share=0.0)
ONE, TWO, THREE = (WORLD.contact_id(index) for index in (1, 2, 3))
SPAN = {"fromDate": "2024-03-01", "toDate": "2024-04-10"}
TYPE = "GetInteractionsHistoryMessage"


@asynccontextmanager
async def opened(
    behaviour: Behaviour | None = None, *, ack: bool = False, faults: Faults | None = None
) -> AsyncIterator[tuple[RunningSimulator, PlainClient]]:
    simulator = Simulator(WORLD, behaviour, faults=faults)
    async with simulator.serve() as server, PlainClient(server.url) as client:
        await client.open(ack=ack)
        yield server, client


def deliveries(count: int = 2000, **switches: Any) -> list[Delivery]:
    policy = SwitchedFaults(Behaviour(**switches))
    return [
        policy.delivery(HistoryCall(1, "contact", "main", identity=one, turn=1))
        for one in range(count)
    ]


KINDS = {
    "lost": lambda one: one.copies == 0,
    "doubled": lambda one: one.copies == 2,
    "late": lambda one: one.delay == 90.0,
    "early": lambda one: one.early,
    "after_epoch": lambda one: one.after_epoch,
    "reordered": lambda one: one.overtaken_within == 0.2,
    "foreign": lambda one: one.foreign == 1,
    "other_type": lambda one: one.other_type in OTHER_TYPES,
    "error": lambda one: one.error_message is not None,
}


@pytest.mark.parametrize("name", KINDS)
def test_a_fault_occurs_at_its_rate_and_again_with_its_seed(name: str) -> None:
    switch = {f"{name}_share": 0.25}
    found = [KINDS[name](one) for one in deliveries(**switch)]
    assert 440 < sum(found) < 560
    assert found == [KINDS[name](one) for one in deliveries(**switch)]
    assert found != [KINDS[name](one) for one in deliveries(seed=2, **switch)]
    assert [one.faults for one in deliveries(**switch)] == [(name,) if hit else () for hit in found]


def test_one_fault_does_not_move_another() -> None:
    alone = [one.copies == 0 for one in deliveries(lost_share=0.2)]
    others: dict[str, Any] = {f"{name}_share": 0.5 for name in KINDS} | {"lost_share": 0.2}
    assert alone == [one.copies == 0 for one in deliveries(**others)]


def test_what_excludes_what() -> None:
    everything: dict[str, Any] = {f"{name}_share": 0.5 for name in KINDS}
    for one in deliveries(**everything):
        faults = set(one.faults)
        if "lost" in faults:
            assert faults <= {"lost", "foreign", "other_type"}
        if "after_epoch" in faults:
            assert not faults & {"early", "late", "reordered"}
        assert not {"early", "late"} <= faults


def test_without_switches_nothing_is_thrown() -> None:
    policy = SwitchedFaults(Behaviour())
    assert not policy.identifies
    assert policy.delivery(HistoryCall(1, ONE, "main")) == Delivery()


def test_what_was_lost_once_need_not_be_lost_again() -> None:
    policy = SwitchedFaults(Behaviour(lost_share=0.5))
    fates = [
        policy.delivery(HistoryCall(1, ONE, "main", identity=7, turn=turn)).copies
        for turn in range(1, 30)
    ]
    assert set(fates) == {0, 1}


async def test_the_same_requests_fare_the_same_in_whatever_order() -> None:
    async def losses(order: list[int]) -> set[int]:
        async with opened(Behaviour(lost_share=0.4)) as (_, client):
            ids = [WORLD.contact_id(index) for index in order]
            asked = dict(zip(await asyncio.gather(*map(client.accepted, ids)), order, strict=True))
            answered = {asked[one["referenceId"]] for one in await client.waiting()}
            return set(order) - answered

    lost = await losses(list(range(40)))
    assert 5 < len(lost) < 30
    assert lost == await losses(list(range(39, -1, -1)))


async def test_a_doubled_notification_comes_twice() -> None:
    async with opened(Behaviour(doubled_share=1.0)) as (server, client):
        await client.accepted(ONE)
        first, second = await client.waiting()
        assert first == second
        assert server.stats.in_flight == 0
        assert server.stats.snapshot()["faults"] == {"doubled": 1}


async def test_a_late_notification_comes_late_and_is_in_flight_until_then() -> None:
    async with opened(Behaviour(late_share=1.0, late_seconds=0.05)) as (server, client):
        reference_id = await client.accepted(ONE)
        assert await client.waiting() == []
        assert server.stats.in_flight == 1
        [answer] = await client.notifications()
        assert answer["referenceId"] == reference_id
        assert server.stats.in_flight == 0


@pytest.mark.parametrize("ack", [True, False])
async def test_an_answer_can_come_in_the_next_session_of_the_user(ack: bool) -> None:
    async with opened(Behaviour(after_epoch_share=1.0), ack=ack) as (server, client):
        reference_id = await client.accepted(ONE, **SPAN)
        assert await client.waiting() == []
        assert server.stats.in_flight == 0
        server.drop_cometd_sessions()
        await client.handshake(ack=ack)
        subscribed = await client.bayeux(
            {
                "channel": "/meta/subscribe",
                "subscription": CHANNEL,
                "clientId": client.client_id,
            }
        )
        # without ack it may ride on the reply to the subscription
        riding = [one["data"] for one in subscribed if one["channel"] == CHANNEL]
        [late] = riding + await client.waiting()
        assert (late["referenceId"], late["messageType"]) == (reference_id, TYPE)
        assert bool(riding) is not ack


async def test_an_answer_outlives_its_http_session_too() -> None:
    async with opened(Behaviour(after_epoch_share=1.0)) as (server, client):
        reference_id = await client.accepted(ONE)
        assert await client.waiting() == []
        server.drop_http_sessions()
        await client.get("/api/v2/me")
        await client.handshake(ack=True)
        await client.subscribe()
        assert [one["referenceId"] for one in await client.waiting()] == [reference_id]


async def test_a_reordered_notification_is_overtaken_by_the_next() -> None:
    class SecondFirst(Faults):
        def delivery(self, call: HistoryCall) -> Delivery:
            return Delivery(overtaken_within=5.0 if call.ordinal == 1 else None)

    async with opened(faults=SecondFirst()) as (server, client):
        first, second, third = [await client.accepted(one) for one in (ONE, TWO, THREE)]
        found = [one["referenceId"] for one in await client.waiting()]
        assert found == [second, first, third]
        assert server.stats.in_flight == 0


async def test_a_reordered_notification_that_nobody_overtakes_comes_after_a_while() -> None:
    behaviour = Behaviour(reordered_share=1.0, reordered_wait_ms=30)
    async with opened(behaviour) as (server, client):
        reference_id = await client.accepted(ONE)
        assert await client.waiting() == []
        [answer] = await client.notifications()
        assert answer["referenceId"] == reference_id
        assert server.stats.in_flight == 0


async def test_a_strangers_answer_looks_like_ours_and_has_an_id_that_was_never_ours() -> None:
    async with opened(Behaviour(foreign_share=1.0)) as (_, client):
        ours = [await client.accepted(one, **SPAN) for one in (ONE, TWO)]
        found = await client.waiting()
        strangers = [one for one in found if one["referenceId"] not in ours]
        assert len(found) == 4 and len(strangers) == 2
        assert found.index(strangers[0]) < [one["referenceId"] for one in found].index(ours[0])
        known = {record.payload["id"] for record in WORLD.records(ONE, "main")}
        for stranger in strangers:
            assert stranger["messageType"] == TYPE
            [interaction] = stranger["interactions"]
            assert "2024-03-01" <= interaction["startDate"] <= "2024-04-10"
            assert interaction["id"].startswith("9999") and interaction["id"] not in known


async def test_messages_of_other_types_come_with_our_reference_id_before_the_answer() -> None:
    async with opened(Behaviour(other_type_share=1.0)) as (server, client):
        kinds: Counter[Any] = Counter()
        for contact in list(WORLD.contacts())[:30]:
            reference_id = await client.accepted(contact.contact_id, **SPAN)
            other, answer = await client.waiting()
            assert other["referenceId"] == answer["referenceId"] == reference_id
            assert answer["messageType"] == TYPE
            kinds[other.get("messageType"), "errorMessage" in other] += 1
        assert len(kinds) == len(OTHER_TYPES) and TYPE not in {kind for kind, _ in kinds}
        assert server.stats.snapshot()["faults"] == {"other_type": 30}


async def test_strangers_come_also_where_the_answer_is_lost() -> None:
    behaviour = Behaviour(lost_share=1.0, other_type_share=1.0)
    async with opened(behaviour) as (server, client):
        reference_id = await client.accepted(ONE)
        [other] = await client.waiting()
        assert other["referenceId"] == reference_id and other.get("messageType") != TYPE
        assert server.stats.snapshot()["notifications"]["lost"] == 1


async def test_an_error_message_comes_in_place_of_interactions() -> None:
    async with opened(Behaviour(error_share=1.0)) as (_, client):
        reference_id = await client.accepted(ONE)
        [answer] = await client.waiting()
        assert answer["errorMessage"] and "interactions" not in answer
        assert (answer["referenceId"], answer["messageType"]) == (reference_id, TYPE)


async def test_a_failing_contact_fails_whatever_it_is_asked() -> None:
    behaviour = Behaviour(failing_contact_share=0.2, failing_contacts=(ONE,))
    policy = SwitchedFaults(behaviour)
    ids = [contact.contact_id for contact in WORLD.contacts()]
    failing = {one for one in ids if policy.always_fails(one)}
    assert ONE in failing and 6 <= len(failing) <= 20
    async with opened(behaviour) as (server, client):
        for source in ("main", "archive", "main"):
            for contact_id in ids[:20]:
                answer = await client.history(contact_id, source=source, **SPAN)
                assert ("errorMessage" in answer) is (contact_id in failing)
        expected = 3 * len(failing & set(ids[:20]))
        assert server.stats.snapshot()["faults"] == {"failing_contact": expected}


async def test_a_mute_channel_accepts_everything_and_delivers_nothing() -> None:
    async with opened(Behaviour(mute_from=3)) as (server, client):
        asked = [await client.accepted(one) for one in (ONE, TWO, THREE, ONE)]
        assert [one["referenceId"] for one in await client.waiting()] == asked[:2]
        server.drop_cometd_sessions()
        await client.open()
        await client.accepted(ONE)
        assert await client.waiting() == []
        assert server.stats.snapshot()["faults"] == {"mute": 3}
        assert server.stats.in_flight == 0


async def test_a_mute_channel_drops_what_was_accepted_before_and_is_due_now() -> None:
    behaviour = Behaviour(mute_from=2, latency_ms=(20, 20))
    async with opened(behaviour) as (server, client):
        await client.accepted(ONE)
        await client.accepted(TWO)
        assert await client.connect(advice={"timeout": 50})
        assert server.stats.snapshot()["faults"] == {"mute": 2}


async def test_a_mute_channel_can_come_to_itself() -> None:
    now = 0.0
    simulator = Simulator(
        WORLD, Behaviour(mute_from=1, mute_seconds=60.0, latency_ms=(1, 1)), clock=lambda: now
    )
    async with simulator.serve() as server, PlainClient(server.url) as client:
        await client.open()
        await client.accepted(ONE)
        now = 59.0
        await client.accepted(ONE)
        now = 61.0
        reference_id = await client.accepted(ONE)
        assert [one["referenceId"] for one in await client.notifications()] == [reference_id]
