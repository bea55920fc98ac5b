"""The client's side of one Bayeux session, as a table of states.

Knows which message may be sent when, what advice asks for, and which batch was last
acknowledged. Does not know HTTP, time or what notifications mean: it is given messages and
answers with events. A session that is lost is never revived; make a new one.

    NEW ── handshake ok ──▶ SHAKEN ── first connect ok ──▶ CONNECTED
     │                        │                               │
     └── refused ──▶ LOST ◀───┴── 402, advice handshake/none ─┘

Advice counts in milliseconds (Bayeux, "interval" and "timeout" advice fields); this module
hands out seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec

from history_pipeline.bayeux import messages
from history_pipeline.bayeux.messages import Advice, Message


class State(Enum):
    NEW = "new"
    SHAKEN = "shaken"
    CONNECTED = "connected"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class HandshakeDone:
    """The server gave this session a client id."""

    acknowledges: bool


@dataclass(frozen=True, slots=True)
class Connected:
    """A /meta/connect came back well; send the next after `pause` seconds."""

    pause: float


@dataclass(frozen=True, slots=True)
class Subscribed:
    channel: str


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    channel: str
    reason: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message on a channel that is not a meta channel; `data` is JSON."""

    channel: str
    data: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Lost:
    """The session is over. `may_retry` is false where the server's advice is `none`.

    `pause` is how long the server wants to be left alone before the next handshake.
    """

    reason: str
    may_retry: bool
    pause: float = 0.0


Event = HandshakeDone | Connected | Subscribed | SubscriptionRefused | Delivered | Lost


@dataclass(frozen=True, slots=True)
class Terms:
    """How a server wants to be talked to: the transports that its handshake offers, whether it
    echoes `ack`, and its advice, in seconds; where `is_advised` is not, those are our defaults."""

    transports: tuple[str, ...]
    acknowledges: bool
    is_advised: bool
    timeout: float
    interval: float


DEFAULT_TIMEOUT = 30.0
"""Seconds for which a CometD server holds a connect unless it says otherwise."""


class ProtocolMisuse(RuntimeError):
    """We broke it: a message was asked for that this state does not allow."""


class ClientSession:
    """One Bayeux session from handshake to loss."""

    def __init__(self, *, ask_for_ack: bool = True) -> None:
        self.state = State.NEW
        self.client_id: str | None = None
        self.acknowledges = False
        self._ask_for_ack = ask_for_ack
        self._last_ack = -1
        self._ordinal = 0
        self._interval = 0.0
        self._timeout = DEFAULT_TIMEOUT
        self._transports: tuple[str, ...] = ()
        self._is_advised = False

    @property
    def timeout(self) -> float:
        """Seconds for which the server says that it holds a connect."""
        return self._timeout

    @property
    def terms(self) -> Terms:
        """What the server has told of itself by now."""
        return Terms(
            self._transports, self.acknowledges, self._is_advised, self._timeout, self._interval
        )

    # -- what we may send ---------------------------------------------------------------------

    def handshake(self) -> dict[str, Any]:
        self._require(State.NEW)
        message = self._message(messages.HANDSHAKE) | {
            "version": "1.0",
            "minimumVersion": "1.0",
            "supportedConnectionTypes": ["long-polling"],
        }
        if self._ask_for_ack:
            message["ext"] = {"ack": True}
        return message

    def connect(self) -> dict[str, Any]:
        """The heartbeat. The first one asks to be answered at once (`timeout` 0)."""
        self._require(State.SHAKEN, State.CONNECTED)
        message = self._message(messages.CONNECT) | {"connectionType": "long-polling"}
        if self.state is State.SHAKEN:
            message["advice"] = {"timeout": 0}
        if self.acknowledges:
            message["ext"] = {"ack": self._last_ack}
        return message

    def subscribe(self, channel: str) -> dict[str, Any]:
        self._require(State.SHAKEN, State.CONNECTED)
        return self._message(messages.SUBSCRIBE) | {"subscription": channel}

    def disconnect(self) -> dict[str, Any]:
        self._require(State.SHAKEN, State.CONNECTED)
        return self._message(messages.DISCONNECT)

    # -- what comes back ----------------------------------------------------------------------

    def receive(self, received: list[Message]) -> list[Event]:
        """Events in the order of the messages. Any reply may carry any channel's messages."""
        events: list[Event] = []
        for message in received:
            if message.advice is not None:
                self._heed(message.advice)
            event = self._dispatch(message)
            if event is not None:
                events.append(event)
        return events

    def _dispatch(self, message: Message) -> Event | None:
        match message.channel:
            case messages.HANDSHAKE:
                return self._shaken(message)
            case messages.CONNECT:
                return self._connected(message)
            case messages.SUBSCRIBE:
                return self._subscribed(message)
            case channel if channel.startswith("/meta/"):
                return None
            case channel:
                return Delivered(channel, message.data)

    def _shaken(self, message: Message) -> Event | None:
        if self.state is not State.NEW:
            return None
        if not message.successful or not message.client_id:
            return self._lose(message)
        self.client_id = message.client_id
        self._transports = message.transports
        self.acknowledges = self._ask_for_ack and message.ack is True
        self.state = State.SHAKEN
        return HandshakeDone(self.acknowledges)

    def _connected(self, message: Message) -> Event | None:
        if self.state is State.LOST:
            return None
        reconnect = message.advice.reconnect if message.advice else None
        if message.successful is False and reconnect == "retry" and not _unknown_client(message):
            # the connect failed, the session stands: the server wants it again
            return Connected(self._interval)
        if not message.successful or reconnect in ("handshake", "none"):
            return self._lose(message)
        if isinstance(message.ack, int) and not isinstance(message.ack, bool):
            self._last_ack = message.ack
        self.state = State.CONNECTED
        return Connected(self._interval)

    def _subscribed(self, message: Message) -> Event:
        channel = str(message.subscription)
        if message.successful:
            return Subscribed(channel)
        if _unknown_client(message):
            # no advice comes with it here, yet the session is gone all the same
            return self._lose(message)
        return SubscriptionRefused(channel, _code(message))

    def _lose(self, message: Message) -> Lost:
        self.state = State.LOST
        reconnect = message.advice.reconnect if message.advice else None
        return Lost(_code(message), may_retry=reconnect != "none", pause=self._interval)

    def _heed(self, advice: Advice) -> None:
        self._is_advised |= advice.interval is not None or advice.timeout is not None
        if advice.interval is not None:
            self._interval = max(0.0, advice.interval / 1000)
        if advice.timeout is not None and advice.timeout > 0:
            self._timeout = advice.timeout / 1000

    def _message(self, channel: str) -> dict[str, Any]:
        self._ordinal += 1
        message: dict[str, Any] = {"id": str(self._ordinal), "channel": channel}
        if self.client_id is not None:
            message["clientId"] = self.client_id
        return message

    def _require(self, *allowed: State) -> None:
        if self.state not in allowed:
            raise ProtocolMisuse(f"not in state {self.state.value}")


def _unknown_client(message: Message) -> bool:
    return (message.error or "").startswith("402")


def _code(message: Message) -> str:
    """The number at the head of a Bayeux error (`402::Unknown client`); the rest is free text
    of the server and is not repeated."""
    head = (message.error or "").split(":", 1)[0]
    return f"Bayeux error {head}" if head.isdigit() else "no Bayeux error code"
