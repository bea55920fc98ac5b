"""Poll replies that end inside their body."""

from __future__ import annotations

import aiohttp
import pytest

from history_pipeline.simulator import Behaviour, Simulator, World
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=10, unreadable_share=0.0)
ONE = WORLD.contact_id(1)


@pytest.mark.parametrize("ack", [True, False])
async def test_what_was_cut_comes_again_with_ack_and_is_lost_without(ack: bool) -> None:
    async with (
        Simulator(WORLD, Behaviour(cut_replies=(1,))).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open(ack=ack)
        reference_id = await client.accepted(ONE)
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.connect()
        found = [one["referenceId"] for one in await client.waiting()]
        assert found == ([reference_id] if ack else [])
        assert server.stats.snapshot()["faults"] == {"cut_reply": 1}


async def test_only_replies_that_carry_notifications_are_cut_and_at_their_rate() -> None:
    async def cuts() -> list[int]:
        async with (
            Simulator(WORLD, Behaviour(cut_reply_share=0.3)).serve() as server,
            PlainClient(server.url) as client,
        ):
            await client.open()
            found = []
            for number in range(60):
                assert len(await client.connect(advice={"timeout": 0})) == 1
                await client.accepted(ONE)
                try:
                    assert len(await client.connect()) == 2
                except aiohttp.ClientPayloadError:
                    found.append(number)
            assert server.stats.faults["cut_reply"] == len(found)
            return found

    first = await cuts()
    assert 9 < len(first) < 30
    assert first == await cuts()


async def test_replies_can_be_cut_by_their_number() -> None:
    async with (
        Simulator(WORLD, Behaviour(cut_replies=(2, 3))).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        whole = []
        for number in (1, 2, 3, 4):
            await client.accepted(ONE)
            try:
                await client.connect()
                whole.append(number)
            except aiohttp.ClientPayloadError:
                pass
        assert whole == [1, 4]
