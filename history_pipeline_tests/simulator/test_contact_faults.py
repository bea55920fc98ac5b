"""Contacts that come, go, are unknown to history, or answer for another."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from history_pipeline.simulator import (
    ARCHIVE,
    MAIN,
    Behaviour,
    ChangingRoster,
    RunningSimulator,
    Simulator,
    SwitchedFaults,
    World,
)
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=400, unreadable_share=0.0)
ALL = {"fromDate": "2024-03-01", "toDate": "2024-04-10", "sort": "asc"}


@asynccontextmanager
async def opened(
    world: World = WORLD, **switches: Any
) -> AsyncIterator[tuple[RunningSimulator, PlainClient]]:
    behaviour = Behaviour(**switches)
    async with Simulator(world, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        yield server, client


async def listed(client: PlainClient) -> tuple[list[str], list[int]]:
    """The ids in the order of the pages, and what each page said of the total."""
    found, totals = [], []
    while True:
        _, page = await client.get(f"/api/v2/contacts?offset={len(found)}&limit=50")
        totals.append(page["totalCount"])
        if not page["contacts"]:
            return found, totals
        found += [one["id"] for one in page["contacts"]]


def ids(contacts: Any) -> set[str]:
    return {WORLD.contact_id(one) for one in contacts}


async def test_contacts_come_in_while_the_list_is_paged() -> None:
    async with opened(contacts_inserted_share=0.1) as (server, client):
        first, totals = await listed(client)
        roster = ChangingRoster(WORLD.size, Behaviour(contacts_inserted_share=0.1))
        assert 20 < len(roster.inserted) < 60
        assert ids(roster.steady) <= set(first) < ids(range(WORLD.size))
        assert max(Counter(first).values()) == 2, "what comes in before moves the rest down"
        assert totals == sorted(totals) and totals[0] < totals[-1]
        await client.get(f"/api/v2/contacts?offset={WORLD.size}")
        assert (await listed(client))[0] == [one.contact_id for one in WORLD.contacts()]
        assert server.stats.snapshot()["faults"] == {"contacts_inserted": len(roster.inserted)}


async def test_contacts_leave_while_the_list_is_paged() -> None:
    async with opened(contacts_removed_share=0.1) as (server, client):
        first, totals = await listed(client)
        roster = ChangingRoster(WORLD.size, Behaviour(contacts_removed_share=0.1))
        assert ids(roster.steady) - set(first), "what leaves before moves the rest up"
        assert max(Counter(first).values()) == 1
        assert totals == sorted(totals, reverse=True)
        await client.get(f"/api/v2/contacts?offset={WORLD.size}")
        assert set((await listed(client))[0]) == ids(roster.steady)
        assert server.stats.snapshot()["faults"] == {"contacts_removed": len(roster.removed)}


async def test_the_list_changes_the_same_way_in_every_run() -> None:
    async def run(seed: int) -> list[str]:
        switches = {"contacts_inserted_share": 0.1, "contacts_removed_share": 0.1}
        async with opened(seed=seed, **switches) as (_, client):
            return (await listed(client))[0]

    assert await run(1) == await run(1) != await run(2)


async def test_a_contact_can_be_unknown_to_history_though_listed() -> None:
    behaviour = Behaviour(unknown_contact_share=0.2)
    policy = SwitchedFaults(behaviour)
    known = {one for one in ids(range(WORLD.size)) if policy.contact_known(one)}
    assert 290 < len(known) < 350
    async with opened(unknown_contact_share=0.2) as (server, client):
        found, _ = await listed(client)
        assert len(found) == WORLD.size
        refused = 0
        for contact_id in found[:60]:
            for _ in range(2):
                status, told = await client.ask(contact_id)
                assert (status == 200) is (contact_id in known)
                assert told["statusCode"] == (0 if contact_id in known else 6)
                refused += contact_id not in known
        assert server.stats.snapshot()["faults"] == {"unknown_contact": refused}


def test_a_merged_contact_answers_for_the_one_before_it() -> None:
    world = World(contacts=400, unreadable_share=0.0, merged_share=0.2)
    merged = [one for one in range(world.size) if world.answers_for(one) != one]
    assert 55 < len(merged) < 105
    for one in merged:
        winner = one - 1
        assert world.answers_for(winner) == winner == world.answers_for(one)
        assert world.history(one) == world.history(winner)
        for placed in world.own_history(one):
            for _, payload in placed.copies:
                assert payload["contactId"] == world.contact_id(winner)
        own = {placed.origin for placed in world.own_history(one)}
        assert own <= {placed.origin for placed in world.history(winner)}


def test_merging_leaves_the_others_as_they_are() -> None:
    world = World(contacts=400, unreadable_share=0.0, merged_share=0.2)
    for one in range(0, world.size, 2):
        if world.answers_for(one + 1) == one + 1:
            assert world.history(one) == WORLD.history(one)


@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_more_than_half_of_the_contacts_can_not_be_merged(share: float) -> None:
    with pytest.raises(ValueError, match="half"):
        World(merged_share=share)


async def test_a_merged_id_is_answered_with_the_others_contact_id() -> None:
    world = World(contacts=40, unreadable_share=0.0, merged_share=0.3)
    merged = next(
        one for one in range(40) if world.answers_for(one) != one and world.own_history(one)
    )
    async with opened(world) as (_, client):
        answers = []
        for asked in (merged, merged - 1):
            for source in (MAIN, ARCHIVE):
                answer = await client.history(world.contact_id(asked), source=source, **ALL)
                answers.append(answer["interactions"])
        assert answers[:2] == answers[2:]
        told = {one["contactId"] for one in answers[0] + answers[1]}
        assert told == {world.contact_id(merged - 1)}
