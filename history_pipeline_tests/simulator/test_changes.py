"""What changes later does so at an instant of its own, and is told by history from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import pytest

from history_pipeline.simulator import ARCHIVE, MAIN, Behaviour, Changes, Simulator, World
from history_pipeline.simulator.world import Placed
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=80, unreadable_share=0.0, archived_share=0.0, end=date(2024, 4, 3))
ALL = {"fromDate": "2024-03-01", "toDate": "2024-04-10", "sort": "asc"}
FIRST, LONG_AFTER = 1_709_500_000.0, 1_800_000_000.0
"""Just before the world's first day, and years after it."""


def changes(wall: float = FIRST, **switches: Any) -> Changes:
    return Changes(WORLD, Behaviour(**switches), lambda: wall)


@asynccontextmanager
async def asked(wall: Callable[[], float], **switches: Any) -> AsyncIterator[PlainClient]:
    server = Simulator(WORLD, Behaviour(**switches), wall=wall)
    async with server.serve() as running, PlainClient(running.url) as client:
        await client.open()
        yield client


def first_of(
    found: Callable[[Placed], int | None], worth: Callable[[Placed], bool] = lambda placed: True
) -> tuple[Placed, int]:
    for index in range(WORLD.size):
        for placed in WORLD.own_history(index):
            moment = found(placed)
            if moment is not None and worth(placed):
                return placed, moment
    raise AssertionError("the world has none")


async def interaction(
    client: PlainClient, index: int, placed: Placed, source: str = MAIN
) -> dict[str, Any] | None:
    """What the answer of one contact holds of it."""
    answer = await client.history(WORLD.contact_id(index), source=source, **ALL)
    wanted = placed.copies[0][1]["id"]
    return next((one for one in answer["interactions"] if one["id"] == wanted), None)


def test_without_a_switch_nothing_changes() -> None:
    assert not changes(LONG_AFTER).active
    for index in range(WORLD.size):
        assert changes(LONG_AFTER).history(index) == WORLD.history(index)


async def test_an_open_interaction_ends_late_and_is_archived_later() -> None:
    switches = {"ends_late_share": 0.5, "late_archived_days": 3}
    placed, ends = first_of(changes(**switches).ends_ms)
    age = (ends - placed.start_ms) / 86_400_000
    assert 8 <= age <= 60
    index, _ = placed.origin
    wall = [ends / 1000 - 1]
    async with asked(lambda: wall[0], **switches) as client:
        before = await interaction(client, index, placed)
        assert before is not None and "endDate" not in before
        wall[0] += 2
        after = await interaction(client, index, placed)
        assert after is not None and after["state"] == "Stopped" and "endDate" in after
        wall[0] += 3 * 86_400
        assert await interaction(client, index, placed) is None
        assert await interaction(client, index, placed, ARCHIVE) == after


async def test_a_contact_is_merged_and_its_id_answers_for_the_other() -> None:
    switches = {"merged_later_share": 0.3}
    known = changes(**switches)
    merged = next(
        one for one in range(80) if known.merges_ms(one) is not None and WORLD.own_history(one)
    )
    placed, moment = WORLD.own_history(merged)[0], known.merges_ms(merged)
    assert moment is not None
    wall = [moment / 1000 - 1]
    async with asked(lambda: wall[0], **switches) as client:
        assert await interaction(client, merged - 1, placed) is None
        wall[0] += 2
        for index in (merged - 1, merged):
            told = await interaction(client, index, placed)
            assert told is not None and told["contactId"] == WORLD.contact_id(merged - 1)


async def test_the_id_of_a_merged_contact_can_be_unknown() -> None:
    switches = {"merged_later_share": 0.3, "merged_ids_unknown": True}
    merged = next(one for one in range(80) if changes(**switches).merges_ms(one) is not None)
    async with asked(lambda: LONG_AFTER, **switches) as client:
        status, _ = await client.ask(WORLD.contact_id(merged))
        assert status == 404
        assert (await client.ask(WORLD.contact_id(merged - 1)))[0] == 200


async def test_an_interaction_goes_over_to_another_contact() -> None:
    switches = {"reassigned_share": 0.2}
    placed, moment = first_of(changes(**switches).reassigns_ms)
    index, _ = placed.origin
    other = index + 4
    wall = [moment / 1000 - 1]
    async with asked(lambda: wall[0], **switches) as client:
        assert await interaction(client, other, placed) is None
        wall[0] += 2
        assert await interaction(client, index, placed) is None
        told = await interaction(client, other, placed)
        assert told is not None and told["contactId"] == WORLD.contact_id(other)


def test_nothing_is_lost_and_nothing_comes_twice_whatever_has_changed() -> None:
    later = changes(LONG_AFTER, ends_late_share=0.5, merged_later_share=0.3, reassigned_share=0.2)
    everybody = [one for one in range(WORLD.size) if later.merges_ms(one) is None]
    told = [placed.origin for one in everybody for placed in later.history(one)]
    own = [placed.origin for one in range(WORLD.size) for placed in WORLD.own_history(one)]
    assert set(told) == set(own)
    # a contact that the world itself has merged is told of under both ids
    twice = {index for index in range(WORLD.size) if WORLD.is_merged(index)}
    once = [origin for origin in told if origin[0] not in twice]
    assert len(once) == len(set(once))


def test_more_than_half_of_the_contacts_can_not_be_merged_later() -> None:
    with pytest.raises(ValueError, match="half"):
        Behaviour(merged_later_share=0.6)
