"""Our client against faye.

It acknowledges nothing, puts the connect's own reply before the notifications, and sends every
answer to all who subscribed.
"""

from __future__ import annotations

import asyncio

import pytest

from history_pipeline.bayeux.messages import DISCONNECT
from history_pipeline.errors import DeadlineExceeded, EpochLost
from history_pipeline_tests.peers.asking import (
    ask,
    ask_all,
    connected,
    contacts,
    ids,
    right_ids,
)
from history_pipeline_tests.peers.conftest import StartPeer
from history_pipeline_tests.peers.seams import Loses, connects_to

pytestmark = pytest.mark.node


async def test_hundreds_of_questions_get_exactly_their_own_answers(start_faye: StartPeer) -> None:
    peer = start_faye(csrf=True)
    async with connected(peer.url) as client:
        await ask_all(client, contacts(400))
        assert not client.acknowledges
        assert client.tally.handshakes == 1
    assert (await peer.account()).asked == 400


async def test_a_notification_that_overtakes_its_reply_is_kept(start_faye: StartPeer) -> None:
    peer = start_faye()
    async with connected(peer.url) as client:
        await ask_all(client, contacts(100, "early"))
    assert (await peer.account()).asked == 100


async def test_answers_to_others_are_left_alone(start_faye: StartPeer) -> None:
    peer = start_faye()
    async with (
        connected(peer.url) as one,
        connected(peer.url) as other,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(ask_all(one, contacts(100, "one")))
            group.create_task(ask_all(other, contacts(100, "another")))
        assert one.tally.notifications > 100
        assert other.tally.notifications > 100
    assert (await peer.account()).asked == 200


async def test_a_lost_reply_costs_an_attempt_and_is_no_empty_answer(start_faye: StartPeer) -> None:
    peer, network = start_faye(), Loses(1)
    async with connected(peer.url, wrap=connects_to(network), deadline=0.8) as client:
        with pytest.raises(DeadlineExceeded):
            await ask(client, "one")
        assert ids(await ask(client, "one")) == right_ids("one")
        assert client.tally.handshakes == 1


async def test_a_session_removed_by_the_server_ends_the_epoch(start_faye: StartPeer) -> None:
    peer = start_faye()
    async with connected(peer.url) as client:
        asked = asyncio.create_task(ask(client, "mute-one"))
        await peer.until(lambda account: account.asked == 1)
        await peer.drop_channels()
        with pytest.raises(EpochLost):
            await asked
        assert ids(await ask(client, "one")) == right_ids("one")
        assert client.tally.handshakes == 2


async def test_a_quiet_channel_keeps_its_session_alive(start_faye: StartPeer) -> None:
    """Holds of 0.5 s; after twice that without a connect faye drops a client."""
    peer = start_faye(timeout=0.5)
    async with connected(peer.url) as client:
        await asyncio.sleep(1.2)
        assert ids(await ask(client, "one")) == right_ids("one")
        assert client.tally.handshakes == 1


async def test_leaving_disconnects(start_faye: StartPeer) -> None:
    peer = start_faye()
    async with connected(peer.url) as client:
        await ask(client, "one")
    account = await peer.account()
    assert len(account.on(DISCONNECT)) == 1
    assert account.alive == 0
