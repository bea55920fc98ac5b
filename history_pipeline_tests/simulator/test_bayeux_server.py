"""The rules of the Bayeux server, without HTTP."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from history_pipeline.simulator.bayeux_client import channel_matches, valid_channel
from history_pipeline.simulator.bayeux_server import (
    BayeuxRules,
    BayeuxServer,
    Part,
    Turn,
)

OWNER = "session"


def server(**rules: Any) -> BayeuxServer:
    numbers = itertools.count(1)
    return BayeuxServer(BayeuxRules(**rules), lambda: f"client{next(numbers)}")


def handshaken(bayeux: BayeuxServer, *, ack: bool = False, owner: str = OWNER) -> str:
    message: dict[str, Any] = {
        "channel": "/meta/handshake",
        "supportedConnectionTypes": ["long-polling"],
    }
    if ack:
        message["ext"] = {"ack": True}
    [reply] = bayeux.receive([message], owner, 0.0).parts
    assert isinstance(reply, dict)
    return str(reply["clientId"])


def connect(
    bayeux: BayeuxServer, client_id: str, now: float = 0.0, owner: str = OWNER, **fields: Any
) -> Turn:
    message = {"channel": "/meta/connect", "id": "c", "clientId": client_id} | fields
    return bayeux.receive([message], owner, now)


def meta(part: Part) -> dict[str, Any]:
    assert isinstance(part, dict)
    return part


def subscribed(bayeux: BayeuxServer, client_id: str, channel: Any = "/a/b") -> Any:
    message = {"channel": "/meta/subscribe", "clientId": client_id, "subscription": channel}
    return bayeux.receive([message], OWNER, 0.0).parts[-1]


@pytest.mark.parametrize(
    ("pattern", "channel", "matches"),
    [
        ("/v2/ucs/interactions", "/v2/ucs/interactions", True),
        ("/v2/ucs/*", "/v2/ucs/interactions", True),
        ("/v2/*", "/v2/ucs/interactions", False),
        ("/v2/**", "/v2/ucs/interactions", True),
        ("/**", "/v2/ucs/interactions", True),
        ("/v2/me/*", "/v2/ucs/interactions", False),
        ("/v2/ucs", "/v2/ucs/interactions", False),
    ],
)
def test_channels_match_by_segments(pattern: str, channel: str, matches: bool) -> None:
    assert channel_matches(pattern, channel) is matches


@pytest.mark.parametrize("channel", ["", "a", "/", "//", "/a//b", "/*/a", "/a*b/c", 7, None])
def test_what_is_no_channel_is_told_apart(channel: Any) -> None:
    assert not valid_channel(channel)


def test_an_anonymous_handshake_is_denied() -> None:
    message = {"channel": "/meta/handshake", "supportedConnectionTypes": ["long-polling"]}
    [reply] = server().receive([message], None, 0.0).parts
    assert isinstance(reply, dict)
    assert (reply["successful"], reply["error"]) == (False, "403::Handshake denied")
    assert "clientId" not in reply


def test_an_unknown_client_is_advised_to_handshake_on_connect_alone() -> None:
    bayeux = server()
    [reply] = connect(bayeux, "nobody").parts
    assert isinstance(reply, dict)
    assert reply["error"] == "402::Unknown client"
    assert reply["advice"] == {"reconnect": "handshake", "interval": 0}
    other = subscribed(bayeux, "nobody")
    assert other["error"] == "402::Unknown client"
    assert "advice" not in other


def test_a_client_of_another_session_is_unknown() -> None:
    bayeux = server()
    [reply] = connect(bayeux, handshaken(bayeux), owner="other").parts
    assert isinstance(reply, dict)
    assert reply["error"] == "402::Unknown client"


@pytest.mark.parametrize(
    ("channel", "error"),
    [
        (None, "403::subscription_missing"),
        ([], "403::subscription_missing"),
        ("no slash", "403::subscription_invalid"),
        (["/a", "//"], "403::subscription_invalid"),
        ("/meta/connect", "403::subscription_denied"),
        ("/refused", "403::subscription_denied"),
    ],
)
def test_a_subscription_is_refused_by_its_reason(channel: Any, error: str) -> None:
    bayeux = server(allows=lambda name: name != "/refused")
    reply = subscribed(bayeux, handshaken(bayeux), channel)
    assert (reply["successful"], reply["error"]) == (False, error)


def test_only_a_subscriber_is_found_and_the_newest_first() -> None:
    bayeux = server()
    first, second = handshaken(bayeux), handshaken(bayeux)
    assert bayeux.subscriber(OWNER, "/a/b") is None
    subscribed(bayeux, first)
    found = bayeux.subscriber(OWNER, "/a/b")
    assert found is not None and found.client_id == first
    subscribed(bayeux, second, "/a/*")
    found = bayeux.subscriber(OWNER, "/a/b")
    assert found is not None and found.client_id == second
    assert bayeux.subscriber("other", "/a/b") is None


def test_an_unsubscribed_channel_is_heard_no_more() -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    subscribed(bayeux, client_id)
    message = {"channel": "/meta/unsubscribe", "clientId": client_id, "subscription": "/a/b"}
    [reply] = bayeux.receive([message], OWNER, 0.0).parts
    assert isinstance(reply, dict) and reply["successful"]
    assert bayeux.subscriber(OWNER, "/a/b") is None


def test_the_first_connect_is_answered_at_once_and_the_second_is_held() -> None:
    bayeux = server(timeout=30.0)
    client_id = handshaken(bayeux)
    first = connect(bayeux, client_id)
    assert first.held is None
    assert meta(first.parts[0])["advice"]["timeout"] == 30_000
    second = connect(bayeux, client_id, now=5.0)
    assert second.held is not None and second.held.until == 35.0


@pytest.mark.parametrize("advice", [{"timeout": 0}, {"timeout": 0, "interval": 9}])
def test_a_timeout_of_zero_is_honoured(advice: dict[str, int]) -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    connect(bayeux, client_id)
    turn = connect(bayeux, client_id, advice=advice)
    assert turn.held is None and len(turn.parts) == 1


def test_a_connect_beside_other_messages_is_not_held() -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    connect(bayeux, client_id)
    messages = [
        {"channel": "/meta/subscribe", "clientId": client_id, "subscription": "/a/b"},
        {"channel": "/meta/connect", "clientId": client_id},
    ]
    turn = bayeux.receive(messages, OWNER, 0.0)
    assert turn.held is None and len(turn.parts) == 2


def test_a_message_wakes_the_held_poll_and_stands_before_its_reply() -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    subscribed(bayeux, client_id)
    connect(bayeux, client_id)
    held = connect(bayeux, client_id).held
    assert held is not None
    woken: list[str] = []
    held.wake = lambda: woken.append("woken")
    client = bayeux.subscriber(OWNER, "/a/b")
    assert client is not None
    bayeux.deliver(client, b"1")
    bayeux.deliver(client, b"2")
    assert woken
    assert bayeux.finish(held, 1.0) == [
        b"1",
        b"2",
        {"channel": "/meta/connect", "successful": True, "id": "c"},
    ]


def test_without_ack_messages_ride_on_any_reply() -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    subscribed(bayeux, client_id)
    client = bayeux.subscriber(OWNER, "/a/b")
    assert client is not None
    bayeux.deliver(client, b"1")
    message = {"channel": "/meta/subscribe", "clientId": client_id, "subscription": "/c"}
    parts = bayeux.receive([message], OWNER, 0.0).parts
    assert parts[0] == b"1" and len(parts) == 2


def test_with_ack_messages_ride_on_connect_alone_and_come_again_until_acknowledged() -> None:
    bayeux = server()
    client_id = handshaken(bayeux, ack=True)
    subscribed(bayeux, client_id)
    client = bayeux.subscriber(OWNER, "/a/b")
    assert client is not None
    bayeux.deliver(client, b"1")
    subscribe = {"channel": "/meta/subscribe", "clientId": client_id, "subscription": "/c"}
    assert len(bayeux.receive([subscribe], OWNER, 0.0).parts) == 1
    first = connect(bayeux, client_id, ext={"ack": 0}).parts
    assert first[0] == b"1" and meta(first[-1])["ext"] == {"ack": 1}
    bayeux.deliver(client, b"2")
    again = connect(bayeux, client_id, ext={"ack": 0}).parts
    assert again[:2] == [b"1", b"2"] and meta(again[-1])["ext"] == {"ack": 2}
    settled = connect(bayeux, client_id, ext={"ack": 2}, advice={"timeout": 0}).parts
    assert [part for part in settled if isinstance(part, bytes)] == []


def test_ack_is_not_echoed_where_the_server_has_it_not() -> None:
    bayeux = server(ack=False)
    message = {
        "channel": "/meta/handshake",
        "supportedConnectionTypes": ["long-polling"],
        "ext": {"ack": True},
    }
    [reply] = bayeux.receive([message], OWNER, 0.0).parts
    assert "ext" not in reply


def test_of_two_polls_the_older_is_answered_without_messages() -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    connect(bayeux, client_id)
    older = connect(bayeux, client_id).held
    assert older is not None
    woken: list[str] = []
    older.wake = lambda: woken.append("woken")
    newer = connect(bayeux, client_id).held
    assert woken and newer is not None
    newer.client.queue.append(b"1")
    assert len(bayeux.finish(older, 0.0)) == 1
    assert bayeux.finish(newer, 0.0)[0] == b"1"


def test_a_client_that_does_not_poll_is_forgotten_and_one_that_is_held_is_not() -> None:
    bayeux = server(max_interval=10.0, interval=1.0, timeout=30.0)
    client_id = handshaken(bayeux)
    connect(bayeux, client_id)
    held = connect(bayeux, client_id).held
    assert held is not None
    assert bayeux.expire(29.0) == 0
    bayeux.finish(held, 30.0)
    assert bayeux.expire(41.0) == 0
    assert bayeux.expire(41.1) == 1
    assert meta(connect(bayeux, client_id, now=42.0).parts[0])["error"] == "402::Unknown client"


def test_disconnect_ends_the_held_poll_and_the_client() -> None:
    bayeux = server()
    client_id = handshaken(bayeux)
    connect(bayeux, client_id)
    held = connect(bayeux, client_id).held
    assert held is not None
    message = {"channel": "/meta/disconnect", "clientId": client_id}
    [reply] = bayeux.receive([message], OWNER, 0.0).parts
    assert isinstance(reply, dict) and reply["successful"]
    [last] = bayeux.finish(held, 0.0)
    assert meta(last)["advice"]["reconnect"] == "none"
    assert len(bayeux) == 0


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("text", "400::message_invalid"),
        ({}, "400::channel_missing"),
        ({"channel": "/a", "data": 1}, "402::Unknown client"),
    ],
)
def test_nonsense_is_answered_not_raised(message: Any, error: str) -> None:
    [reply] = server().receive([message], OWNER, 0.0).parts
    assert isinstance(reply, dict) and reply["error"] == error
