"""The table of states: what may be sent, what comes of what is received."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from history_pipeline.bayeux import messages
from history_pipeline.bayeux.session import (
    DEFAULT_TIMEOUT,
    ClientSession,
    Connected,
    Delivered,
    Event,
    HandshakeDone,
    Lost,
    ProtocolMisuse,
    State,
    Subscribed,
    SubscriptionRefused,
    Terms,
)

CHANNEL = "/v2/ucs/interactions"


def receive(session: ClientSession, *received: dict[str, Any]) -> list[Event]:
    return session.receive(messages.decode(json.dumps(list(received)).encode()))


def handshake_reply(**more: Any) -> dict[str, Any]:
    return {"channel": "/meta/handshake", "successful": True, "clientId": "c1"} | more


def connect_reply(**more: Any) -> dict[str, Any]:
    return {"channel": "/meta/connect", "successful": True} | more


def subscribe_reply(**more: Any) -> dict[str, Any]:
    return {"channel": "/meta/subscribe", "subscription": CHANNEL, "successful": True} | more


def new() -> ClientSession:
    return ClientSession()


def shaken(**more: Any) -> ClientSession:
    session = ClientSession()
    session.handshake()
    receive(session, handshake_reply(**more))
    return session


def connected(**more: Any) -> ClientSession:
    session = shaken(**more)
    session.connect()
    receive(session, connect_reply())
    return session


def lost() -> ClientSession:
    session = connected()
    receive(session, connect_reply(successful=False, error="402::Unknown client"))
    return session


# -- what may be sent -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "state", "allowed"),
    [
        (new, State.NEW, {"handshake"}),
        (shaken, State.SHAKEN, {"connect", "subscribe", "disconnect"}),
        (connected, State.CONNECTED, {"connect", "subscribe", "disconnect"}),
        (lost, State.LOST, set()),
    ],
)
def test_each_state_allows_its_own_messages_only(
    made: Callable[[], ClientSession], state: State, allowed: set[str]
) -> None:
    assert made().state is state
    for name, arguments in (
        ("handshake", ()),
        ("connect", ()),
        ("subscribe", (CHANNEL,)),
        ("disconnect", ()),
    ):
        send = getattr(made(), name)
        if name in allowed:
            assert send(*arguments)["channel"] == f"/meta/{name}"
        else:
            with pytest.raises(ProtocolMisuse):
                send(*arguments)


def test_a_handshake_names_long_polling_only_and_asks_for_ack() -> None:
    message = new().handshake()
    assert message["supportedConnectionTypes"] == ["long-polling"]
    assert message["version"] == "1.0"
    assert message["ext"] == {"ack": True}
    assert "clientId" not in message


def test_only_the_first_connect_asks_to_be_answered_at_once() -> None:
    session = shaken()
    assert session.connect()["advice"] == {"timeout": 0}
    receive(session, connect_reply())
    assert "advice" not in session.connect()


def test_after_the_handshake_each_message_carries_the_client_id() -> None:
    session = shaken()
    for message in (session.connect(), session.subscribe(CHANNEL), session.disconnect()):
        assert message["clientId"] == "c1"


def test_no_two_messages_share_an_id() -> None:
    session = shaken()
    sent = [session.connect(), session.subscribe(CHANNEL), session.connect()]
    assert len({message["id"] for message in sent}) == 3


# -- handshake ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ext", "acknowledges"),
    [
        ({"ack": True}, True),
        ({"ack": False}, False),
        ({}, False),
        (None, False),
        ({"ack": 1}, False),
    ],
)
def test_ack_is_used_if_and_only_if_the_server_echoes_it(ext: Any, acknowledges: bool) -> None:
    session = new()
    session.handshake()
    assert receive(session, handshake_reply(ext=ext)) == [HandshakeDone(acknowledges)]
    assert ("ext" in session.connect()) is acknowledges


def test_the_terms_are_what_handshake_and_first_connect_tell() -> None:
    session = new()
    session.handshake()
    offered = ["websocket", "long-polling", 7]
    receive(session, handshake_reply(supportedConnectionTypes=offered, ext={"ack": True}))
    told = Terms(("websocket", "long-polling"), True, False, 30.0, 0.0)
    assert session.terms == told
    receive(session, connect_reply(advice={"timeout": 20_000, "interval": 500}))
    assert session.terms == replace(told, is_advised=True, timeout=20.0, interval=0.5)


@pytest.mark.parametrize("offered", [None, "long-polling", {"a": 1}])
def test_transports_that_are_no_list_are_none(offered: Any) -> None:
    session = new()
    session.handshake()
    receive(session, handshake_reply(supportedConnectionTypes=offered))
    assert session.state is State.SHAKEN
    assert session.terms.transports == ()


def test_ack_that_was_not_asked_for_is_not_used() -> None:
    session = ClientSession(ask_for_ack=False)
    assert "ext" not in session.handshake()
    receive(session, handshake_reply(ext={"ack": True}))
    assert not session.acknowledges


@pytest.mark.parametrize(
    "reply",
    [
        handshake_reply(successful=False, error="403::Handshake denied"),
        handshake_reply(clientId=None),
        handshake_reply(clientId=""),
        {"channel": "/meta/handshake", "clientId": "c1"},
    ],
)
def test_a_handshake_that_brings_no_client_id_loses_the_session(reply: dict[str, Any]) -> None:
    session = new()
    session.handshake()
    (event,) = receive(session, reply)
    assert isinstance(event, Lost)
    assert session.state is State.LOST


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("403::Handshake denied for this customer", "Bayeux error 403"),
        ("this customer is not allowed", "no Bayeux error code"),
        ("", "no Bayeux error code"),
        (None, "no Bayeux error code"),
    ],
)
def test_the_servers_own_words_are_not_repeated(error: str | None, reason: str) -> None:
    session = new()
    session.handshake()
    (event,) = receive(session, handshake_reply(successful=False, error=error))
    assert isinstance(event, Lost)
    assert event.reason == reason


# -- connect and advice ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(0, 0.0), (500, 0.5), (2000, 2.0), (-1, 0.0), (1.5, 0.0015)]
)
def test_an_interval_is_in_milliseconds(milliseconds: float, seconds: float) -> None:
    session = shaken()
    session.connect()
    assert receive(session, connect_reply(advice={"interval": milliseconds})) == [
        Connected(seconds)
    ]


def test_a_timeout_is_in_milliseconds() -> None:
    assert shaken().timeout == DEFAULT_TIMEOUT
    assert shaken(advice={"timeout": 45_000}).timeout == 45.0
    assert shaken(advice={"timeout": 0}).timeout == DEFAULT_TIMEOUT


def test_an_interval_stays_in_force_until_another_is_named() -> None:
    session = shaken(advice={"interval": 700})
    session.connect()
    assert receive(session, connect_reply()) == [Connected(0.7)]
    assert receive(session, connect_reply(advice={"reconnect": "retry"})) == [Connected(0.7)]
    assert receive(session, connect_reply(advice={"interval": 0})) == [Connected(0.0)]


@pytest.mark.parametrize("made", [shaken, connected])
@pytest.mark.parametrize(
    ("reply", "stands"),
    [
        (connect_reply(), True),
        (connect_reply(advice={"reconnect": "retry"}), True),
        (connect_reply(successful=False, advice={"reconnect": "retry"}), True),
        (connect_reply(successful=False, error="500::oops", advice={"reconnect": "retry"}), True),
        (connect_reply(successful=False), False),
        (connect_reply(successful=False, error="402::Unknown client"), False),
        (
            connect_reply(
                successful=False, error="402::Unknown client", advice={"reconnect": "retry"}
            ),
            False,
        ),
        (connect_reply(advice={"reconnect": "handshake"}), False),
        (connect_reply(advice={"reconnect": "none"}), False),
        (connect_reply(successful=False, advice={"reconnect": "handshake"}), False),
        (connect_reply(successful=False, advice={"reconnect": "none"}), False),
        ({"channel": "/meta/connect"}, False),
    ],
)
def test_success_and_advice_decide_whether_the_session_stands(
    made: Callable[[], ClientSession], reply: dict[str, Any], stands: bool
) -> None:
    session = made()
    (event,) = receive(session, reply)
    assert isinstance(event, Connected if stands else Lost)
    assert (session.state is not State.LOST) is stands


@pytest.mark.parametrize(
    ("reconnect", "may_retry"),
    [("handshake", True), ("none", False), ("retry", True), (None, True)],
)
def test_only_the_advice_none_forbids_another_handshake(
    reconnect: str | None, may_retry: bool
) -> None:
    (event,) = receive(
        connected(),
        connect_reply(successful=False, error="402::x", advice={"reconnect": reconnect}),
    )
    assert isinstance(event, Lost)
    assert event.may_retry is may_retry


def test_a_loss_says_for_how_long_the_server_wants_to_be_left_alone() -> None:
    (event,) = receive(
        connected(),
        connect_reply(successful=False, advice={"reconnect": "handshake", "interval": 5000}),
    )
    assert isinstance(event, Lost)
    assert event.pause == 5.0


def test_what_comes_after_the_loss_connects_nothing() -> None:
    session = lost()
    assert receive(session, connect_reply()) == []
    assert session.state is State.LOST


def test_a_lost_session_is_never_revived() -> None:
    session = lost()
    receive(session, handshake_reply(clientId="c2"))
    assert session.state is State.LOST


# -- acknowledgements -----------------------------------------------------------------------------


def test_each_connect_acknowledges_the_last_batch_that_arrived() -> None:
    session = shaken(ext={"ack": True})
    assert session.connect()["ext"] == {"ack": -1}
    receive(session, connect_reply(ext={"ack": 1}))
    assert session.connect()["ext"] == {"ack": 1}
    # the reply was lost: the same batch is asked for again
    assert session.connect()["ext"] == {"ack": 1}
    receive(session, connect_reply(ext={"ack": 5}))
    assert session.connect()["ext"] == {"ack": 5}


def test_a_connect_reply_without_a_number_leaves_the_acknowledgement_as_it_was() -> None:
    session = shaken(ext={"ack": True})
    session.connect()
    receive(session, connect_reply(ext={"ack": 3}))
    receive(session, connect_reply())
    receive(session, connect_reply(ext={"ack": None}))
    receive(session, connect_reply(ext={"ack": "9"}))
    assert session.connect()["ext"] == {"ack": 3}


def test_a_failed_connect_acknowledges_nothing_new() -> None:
    session = shaken(ext={"ack": True})
    session.connect()
    receive(session, connect_reply(ext={"ack": 3}))
    receive(session, connect_reply(successful=False, advice={"reconnect": "retry"}, ext={"ack": 9}))
    assert session.connect()["ext"] == {"ack": 3}


def test_a_batch_number_is_a_number() -> None:
    session = shaken(ext={"ack": True})
    session.connect()
    receive(session, connect_reply(ext={"ack": 3}))
    receive(session, connect_reply(ext={"ack": True}))
    assert session.connect()["ext"] == {"ack": 3}


# -- subscriptions --------------------------------------------------------------------------------


def test_a_subscription_is_confirmed_by_its_reply() -> None:
    assert receive(shaken(), subscribe_reply()) == [Subscribed(CHANNEL)]


@pytest.mark.parametrize("error", ["403::subscribe_failed", "403:denied:denied by policy", None])
def test_a_refused_subscription_leaves_the_session_standing(error: str | None) -> None:
    session = shaken()
    (event,) = receive(session, subscribe_reply(successful=False, error=error))
    assert isinstance(event, SubscriptionRefused)
    assert event.channel == CHANNEL
    assert session.state is State.SHAKEN


def test_unknown_client_on_subscribe_loses_the_session_though_no_advice_comes_with_it() -> None:
    session = shaken()
    (event,) = receive(session, subscribe_reply(successful=False, error="402::Unknown client"))
    assert event == Lost("Bayeux error 402", may_retry=True)
    assert session.state is State.LOST


# -- deliveries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "reply"),
    [
        (new, handshake_reply()),
        (shaken, subscribe_reply()),
        (shaken, connect_reply()),
        (connected, connect_reply()),
        (connected, {"channel": "/meta/disconnect", "successful": True}),
        (connected, connect_reply(successful=False, error="402::Unknown client")),
    ],
)
def test_any_reply_may_carry_deliveries_before_and_after_its_own_message(
    made: Callable[[], ClientSession], reply: dict[str, Any]
) -> None:
    session = made()
    if session.state is State.NEW:
        session.handshake()
    events = receive(
        session,
        {"channel": CHANNEL, "data": {"n": 1}},
        reply,
        {"channel": CHANNEL, "data": {"n": 2}},
    )
    delivered = [event for event in events if isinstance(event, Delivered)]
    assert [json.loads(bytes(event.data)) for event in delivered] == [{"n": 1}, {"n": 2}]


def test_a_delivery_after_the_loss_is_delivered_all_the_same() -> None:
    (event,) = receive(lost(), {"channel": CHANNEL, "data": {"n": 1}})
    assert isinstance(event, Delivered)


def test_meta_channels_that_nobody_asked_about_mean_nothing() -> None:
    session = connected()
    assert receive(session, {"channel": "/meta/unsubscribe", "successful": True}) == []
    assert session.state is State.CONNECTED
