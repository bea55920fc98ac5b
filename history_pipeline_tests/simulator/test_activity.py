"""The switches of RetrieveInteractionHistory, and a world of which little is active."""

from __future__ import annotations

from typing import Any

import pytest

from history_pipeline.simulator import Behaviour, Simulator, World
from history_pipeline.simulator.command_line import build_parser, world_of
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=60, unreadable_share=0.0)
PATH = "/api/v2/ucs/interactions"
ALL = {
    "operationName": "RetrieveInteractionHistory",
    "fromDate": "2024-03-01",
    "toDate": "2024-04-10",
    "sort": "asc",
}


async def listed(world: World, behaviour: Behaviour, max_size: int) -> tuple[int, Any]:
    """The status code, and the records of the answer if there is one."""
    async with Simulator(world, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        _, reply = await client.post(PATH, ALL | {"maxSize": max_size})
        if reply["statusCode"]:
            return reply["statusCode"], None
        (answer,) = await client.notifications(1)
        return 0, answer["interactions"]


@pytest.mark.parametrize(("asked", "code"), [(50, 0), (51, 10)])
async def test_a_size_can_be_out_of_range(asked: int, code: int) -> None:
    told, records = await listed(WORLD, Behaviour(max_size_refused_above=50), asked)
    assert told == code
    assert records is None or len(records) == asked


@pytest.mark.parametrize("asked", [40, 50, 51, 100_000])
async def test_a_size_can_be_cut_without_a_word(asked: int) -> None:
    _, records = await listed(WORLD, Behaviour(max_size_cut_at=50), asked)
    assert len(records) == min(asked, 50)


async def test_interactions_can_be_nobodys() -> None:
    world = World(contacts=60, unreadable_share=0.0, unassigned=25)
    _, records = await listed(world, Behaviour(), 100_000)
    _, before = await listed(WORLD, Behaviour(), 100_000)
    nobodys = [one for one in records if "contactId" not in one]
    assert 15 <= len(nobodys) <= 25, "some of them are the archive's"
    assert [one for one in records if "contactId" in one] == before


def test_most_contacts_can_be_silent_and_the_others_stay_as_they_are() -> None:
    world, busy = World(contacts=4_000, active_share=0.01), World(contacts=4_000)
    active = [index for index in range(world.size) if world.own_starts(index)]
    assert 20 <= len(active) <= 60
    assert all(world.own_starts(one) == busy.own_starts(one) for one in active)
    with pytest.raises(ValueError, match="share"):
        World(active_share=1.1)


def test_the_process_is_told_of_such_worlds() -> None:
    flags = ["--contacts", "500", "--active-share", "0", "--unassigned", "7"]
    world = world_of(build_parser().parse_args(flags))
    assert not any(world.own_starts(index) for index in range(world.size))
    assert len(world.own_starts(world.size)) == 7
