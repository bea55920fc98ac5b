"""Our client against the CometD project's own server."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from history_pipeline.bayeux.messages import CONNECT, DISCONNECT, SUBSCRIBE
from history_pipeline.errors import ChannelRefused, DeadlineExceeded, EpochLost
from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.wire import Reply
from history_pipeline.model import Source
from history_pipeline_tests.peers.asking import (
    ask,
    ask_all,
    ask_through_epochs,
    connected,
    contacts,
    ids,
    right_ids,
)
from history_pipeline_tests.peers.conftest import StartPeer
from history_pipeline_tests.peers.node_peer import NodePeer
from history_pipeline_tests.peers.seams import (
    CuttingProxy,
    GivesUpOn,
    HoldsBack,
    Loses,
    Send,
    connects_to,
    subscriptions_to,
)

pytestmark = pytest.mark.node


async def handshakes(client: GwsClient, count: int) -> None:
    """Returns when the client has opened so many epochs."""
    async with asyncio.timeout(5):
        while client.tally.handshakes < count:  # noqa: ASYNC110 - the client tells nobody
            await asyncio.sleep(0.02)


# -- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ack", "csrf"), [(False, True), (True, False)])
async def test_hundreds_of_questions_get_exactly_their_own_answers(
    start_cometd: StartPeer, ack: bool, csrf: bool
) -> None:
    peer = start_cometd(ack=ack, csrf=csrf)
    async with connected(peer.url) as client:
        await ask_all(client, contacts(400))
        assert client.acknowledges is ack
        assert client.tally.handshakes == 1
        assert client.tally.notifications == 400
    assert (await peer.account()).asked == 400


async def test_a_notification_that_overtakes_its_reply_is_kept(start_cometd: StartPeer) -> None:
    peer = start_cometd()
    async with connected(peer.url) as client:
        await ask_all(client, contacts(100, "early"))
    assert (await peer.account()).asked == 100


async def test_a_source_is_answered_with_its_own_records(start_cometd: StartPeer) -> None:
    peer = start_cometd()
    async with connected(peer.url) as client, asyncio.TaskGroup() as group:
        main = group.create_task(ask(client, "one", Source.MAIN))
        archive = group.create_task(ask(client, "one", Source.ARCHIVE))
    assert ids(main.result()) == right_ids("one", Source.MAIN)
    assert ids(archive.result()) == right_ids("one", Source.ARCHIVE)


async def test_two_clients_with_the_same_reference_ids_keep_apart(start_cometd: StartPeer) -> None:
    peer = start_cometd()
    async with (
        connected(peer.url) as one,
        connected(peer.url) as other,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(ask_all(one, contacts(100, "one")))
        group.create_task(ask_all(other, contacts(100, "another")))
    assert one.tally.notifications == other.tally.notifications == 100


# -- replies that are lost ------------------------------------------------------------------------


async def test_with_ack_a_lost_reply_loses_nothing(start_cometd: StartPeer) -> None:
    peer, network = start_cometd(ack=True), Loses(2)
    async with connected(peer.url, wrap=connects_to(network)) as client:
        await ask_all(client, contacts(100))
        assert client.tally.handshakes == 1
    assert network.left == 0
    assert (await peer.account()).asked == 100


async def test_with_ack_a_reply_cut_in_the_middle_loses_nothing(start_cometd: StartPeer) -> None:
    peer = start_cometd(ack=True)
    proxy = CuttingProxy(peer.url, cuts=2)
    async with proxy.serving():
        async with connected(proxy.url) as client:
            await ask_all(client, contacts(100))
            assert client.tally.handshakes == 1
        assert proxy.cuts == 0
    assert (await peer.account()).asked == 100


async def test_every_connect_acknowledges_the_last_batch_received(start_cometd: StartPeer) -> None:
    peer, network = start_cometd(ack=True), Loses(1)
    async with connected(peer.url, wrap=connects_to(network), deadline=2.0) as client:
        for contact_id in contacts(3):
            await ask(client, contact_id)
    connects = (await peer.account()).on(CONNECT)
    acks = [connect.messages[0]["ext"]["ack"] for connect in connects]
    # the first answer's batch, the second, is the one lost: it is not acknowledged until it came
    assert acks[:5] == [-1, 1, 1, 3, 4]


async def test_without_ack_a_lost_reply_costs_an_attempt_and_is_no_empty_answer(
    start_cometd: StartPeer,
) -> None:
    peer, network = start_cometd(ack=False), Loses(1)
    async with connected(peer.url, wrap=connects_to(network), deadline=0.8) as client:
        with pytest.raises(DeadlineExceeded):
            await ask(client, "one")
        assert ids(await ask(client, "one")) == right_ids("one")
        assert client.tally.handshakes == 1


# -- the heartbeat --------------------------------------------------------------------------------


async def test_the_heartbeat_goes_on_while_answers_are_consumed_slowly(
    start_cometd: StartPeer,
) -> None:
    peer = start_cometd(cometd={"timeout": 100, "maxInterval": 600})
    async with connected(peer.url) as client:
        asked = [asyncio.create_task(ask(client, one)) for one in contacts(20)]
        for task, contact_id in zip(asked, contacts(20), strict=True):
            assert ids(await task) == right_ids(contact_id)
            await asyncio.sleep(0.05)
        assert client.tally.handshakes == 1
        account = await peer.account()
    connects = account.on(CONNECT)
    assert account.expired == 0
    assert len(connects) >= 8
    assert all(then.started - now.started < 0.6 for now, then in pairwise(connects))


async def pauses(peer: NodePeer, count: int) -> list[float]:
    """Seconds between the end of one connect and the start of the next, the first `count`."""
    account = await peer.until(lambda account: len(account.on(CONNECT)) > count)
    connects = account.on(CONNECT)[: count + 1]
    return [then.started - now.ended for now, then in pairwise(connects) if now.ended is not None]


async def test_the_interval_of_advice_is_in_milliseconds(start_cometd: StartPeer) -> None:
    peer = start_cometd(cometd={"timeout": 20, "interval": 120})
    async with connected(peer.url):
        _, *later = await pauses(peer, 4)
    assert all(0.115 < pause < 0.6 for pause in later), later


async def test_the_interval_of_advice_holds_after_the_first_connect_too(
    start_cometd: StartPeer,
) -> None:
    peer = start_cometd(cometd={"timeout": 20, "interval": 120})
    async with connected(peer.url):
        [first] = await pauses(peer, 1)
    assert first > 0.115


# -- sessions that end ----------------------------------------------------------------------------


async def test_a_session_removed_by_the_server_ends_the_epoch(start_cometd: StartPeer) -> None:
    peer = start_cometd()
    async with connected(peer.url) as client:
        asked = [asyncio.create_task(ask(client, one)) for one in contacts(20, "mute")]
        await peer.until(lambda account: account.asked == 20)
        await peer.drop_channels()
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {EpochLost}
        assert ids(await ask(client, "one")) == right_ids("one")
        assert client.tally.handshakes == 2
        await ask_all(client, contacts(50))


async def test_a_session_that_expired_ends_the_epoch(start_cometd: StartPeer) -> None:
    """No connect within `maxInterval`: what was queued is gone with the session."""
    peer, network = start_cometd(cometd={"maxInterval": 200}), HoldsBack(0.5)
    async with connected(peer.url, wrap=connects_to(network)) as client:
        await peer.until(lambda account: account.is_holding)
        network.armed = True
        # rides on the connect that is held already, so that the next is the one held back
        await ask(client, "one")
        with pytest.raises(EpochLost):
            await ask(client, "two")
        assert ids(await ask(client, "two")) == right_ids("two")
        assert client.tally.handshakes == 2
    assert (await peer.account()).expired == 1


async def test_a_session_lost_before_it_subscribed_is_replaced(start_cometd: StartPeer) -> None:
    """To a subscription the server answers 402 without advice."""
    peer, dropped = start_cometd(), False

    async def drop_once(send: Send) -> Reply:
        nonlocal dropped
        if not dropped:
            dropped = True
            await peer.drop_channels()
        return await send()

    async with connected(peer.url, wrap=subscriptions_to(drop_once)) as client:
        assert ids(await ask(client, "one")) == right_ids("one")
    assert len((await peer.account()).on(SUBSCRIBE)) == 2


async def test_a_refused_handshake_is_final(start_cometd: StartPeer) -> None:
    peer = start_cometd(refuse=True)
    with pytest.raises(ChannelRefused):
        async with connected(peer.url):
            pass
    assert len((await peer.account()).exchanges) == 1


@pytest.mark.parametrize("csrf", [False, True])
async def test_a_lost_login_is_mended_and_opens_a_new_epoch(
    start_cometd: StartPeer, csrf: bool
) -> None:
    """A short hold, so that the heartbeat learns of it soon."""
    peer = start_cometd(csrf=csrf, cometd={"timeout": 100})
    async with connected(peer.url) as client:
        await ask_all(client, contacts(20))
        await peer.drop_logins()
        assert ids(await ask_through_epochs(client, "one")) == right_ids("one")
        await ask_all(client, contacts(20))


async def test_a_lost_login_is_mended_at_once_though_the_server_holds_a_connect(
    start_cometd: StartPeer,
) -> None:
    peer = start_cometd(cometd={"timeout": 30_000})
    async with connected(peer.url) as client:
        await peer.until(lambda account: account.is_holding)
        await peer.drop_logins()
        answer = await ask_through_epochs(client, "one", within=15)
    assert ids(answer) == right_ids("one")


async def test_a_session_that_is_given_up_does_not_slow_the_next_one(
    start_cometd: StartPeer,
) -> None:
    peer, network = start_cometd(), GivesUpOn(3, after=0.05)
    async with connected(peer.url, wrap=connects_to(network)) as client:
        await peer.until(lambda account: account.is_holding)
        network.armed = True
        # rides on the connect that is held already, so that the next is the first to fail
        await ask(client, "one")
        await handshakes(client, 2)
        await asyncio.sleep(0.2)
        assert (await peer.account()).is_holding, "the new session has to poll"
        assert ids(await ask(client, "two")) == right_ids("two")


# -- leaving --------------------------------------------------------------------------------------


async def test_leaving_disconnects(start_cometd: StartPeer) -> None:
    peer = start_cometd()
    async with connected(peer.url) as client:
        await ask(client, "one")
    account = await peer.account()
    assert len(account.on(DISCONNECT)) == 1
    assert (account.alive, account.disconnected, account.expired) == (0, 1, 0)


async def test_leaving_with_an_error_disconnects_too(start_cometd: StartPeer) -> None:
    peer = start_cometd(ack=True, csrf=True)
    with pytest.raises(DeadlineExceeded):
        async with connected(peer.url, deadline=0.1) as client:
            await ask(client, "mute-one")
    account = await peer.account()
    assert (account.alive, account.disconnected) == (0, 1)
