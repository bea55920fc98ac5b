"""A Bayeux 1.0 server's state: clients, their queues, their polls.

Knows handshake, connect, subscribe, unsubscribe, disconnect, the ack extension and expiry,
as CometD 3 does them. Time and new ids are handed in; held polls are handed out as `Held`,
and whoever waits on them calls `finish`. Does not know HTTP, sockets or what the data say.

    unknown ──handshake──> handshaken ──connect──> connected <──> held (a poll waits)
       ^                        │                      │            │
       └── disconnect, no poll for interval + maxInterval, or an end of the rules' own ──┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from history_pipeline.simulator.bayeux_client import Client, Held, valid_channel
from history_pipeline.simulator.endings import DROPPED, EXPIRED, LEFT

Reply = dict[str, Any]
Part = Reply | bytes
"""A meta reply, or the text of a data message."""

HANDSHAKE, CONNECT, DISCONNECT = "/meta/handshake", "/meta/connect", "/meta/disconnect"
SUBSCRIBE, UNSUBSCRIBE = "/meta/subscribe", "/meta/unsubscribe"
TRANSPORT = "long-polling"
UNKNOWN_CLIENT = "402::Unknown client"


@dataclass(frozen=True, slots=True)
class BayeuxRules:
    """Times in seconds. `allows` says whether a channel may be subscribed to.

    `over` is given a client's age and its accepted requests, and names what ends it, if
    anything. `lost_session_advice` is what a poll of an unknown client is advised: `handshake`,
    `none`, or nothing at all with `absent`. `transports` are those offered; there is but one.
    """

    timeout: float = 30.0
    interval: float = 0.0
    max_interval: float = 10.0
    ack: bool = True
    allows: Callable[[str], bool] = lambda channel: True
    over: Callable[[float, int], str] = lambda age, accepted: ""
    lost_session_advice: str = "handshake"
    transports: tuple[str, ...] = (TRANSPORT,)

    def advice(self) -> Reply:
        return {
            "reconnect": "retry",
            "interval": round(self.interval * 1000),
            "timeout": round(self.timeout * 1000),
        }

    def unknown_poll(self) -> Reply:
        told: Reply = {"successful": False, "error": UNKNOWN_CLIENT}
        if self.lost_session_advice != "absent":
            told["advice"] = {"reconnect": self.lost_session_advice, "interval": 0}
        return told


@dataclass(slots=True)
class Turn:
    """The answer to one POST: what can be said at once, and the poll to wait for, if any."""

    parts: list[Part] = field(default_factory=list)
    held: Held | None = None


class BayeuxServer:
    """All clients of one server. `owner` is the HTTP session that a client belongs to.

    `on_removed` is told of each client that is gone, and why; `on_subscribed` of each
    subscription.
    """

    def __init__(self, rules: BayeuxRules, new_id: Callable[[], str]) -> None:
        self._rules = rules
        self._new_id = new_id
        self.on_removed: Callable[[Client, str], None] = lambda client, why: None
        self.on_subscribed: Callable[[Client], None] = lambda client: None
        self._clients: dict[str, Client] = {}
        self._of_owner: dict[str, list[Client]] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def receive(self, messages: Iterable[Any], owner: str | None, now: float) -> Turn:
        """`owner` None is an anonymous caller: its handshake is denied.

        A poll is held only where it stands alone in its POST, as with CometD.
        """
        listed = list(messages)
        turn = Turn()
        client: Client | None = None
        for message in listed:
            if not isinstance(message, Mapping):
                turn.parts.append({"successful": False, "error": "400::message_invalid"})
                continue
            found = self._client(message, owner, now)
            client = found or client
            if message.get("channel") == CONNECT:
                self._connect(message, found, len(listed) == 1, now, turn)
            else:
                turn.parts.append(self._meta(message, found, owner, now))
        if client is not None and not client.ack and turn.held is None:
            # Without the ack extension messages ride on any reply, and stand before it.
            turn.parts[:0] = client.take()
        return turn

    def finish(self, held: Held, now: float) -> list[Part]:
        """Ends a poll that was woken, or whose time is up; what waits by now goes with it."""
        client = held.client
        if client.held is held:
            client.held = None
            client.idle_since = now
        reply: Reply = {"channel": CONNECT, "successful": True}
        if held.message_id is not None:
            reply["id"] = held.message_id
        if client.left:
            reply["advice"] = {"reconnect": "none", "interval": 0}
            return [reply]
        if client.gone:
            return [reply | self._rules.unknown_poll()]
        return [reply] if held.superseded else self._with_messages(client, reply)

    def deliver(self, client: Client, message: bytes) -> None:
        """Queues a data message and wakes the client's poll."""
        client.queue.append(message)
        if client.held is not None:
            client.held.wake()

    def subscriber(self, owner: str, channel: str) -> Client | None:
        """The owner's newest client that listens to the channel."""
        for client in reversed(self._of_owner.get(owner, [])):
            if client.hears(channel):
                return client
        return None

    def subscribers(self, channel: str) -> list[Client]:
        """Every client that listens to the channel, whoever owns it."""
        return [client for client in self._clients.values() if client.hears(channel)]

    def accepted(self, client: Client, now: float) -> None:
        """A request was accepted that is to be answered here; it may have been the last one."""
        client.accepted += 1
        self._removed_if_over(client, now)

    def expire(self, now: float) -> int:
        """Removes the clients whose time is over; says how many."""
        return sum(self._removed_if_over(one, now) for one in list(self._clients.values()))

    def drop(self, owner: str | None = None) -> int:
        """Removes the clients of an owner, or all; their polls end."""
        doomed = list(self._clients.values() if owner is None else self._of_owner.get(owner, []))
        for client in doomed:
            self._remove(client, DROPPED)
        return len(doomed)

    def _client(self, message: Mapping[str, Any], owner: str | None, now: float) -> Client | None:
        """A client is known to its owner only: the CometD session ends with the HTTP one."""
        client = self._clients.get(str(message.get("clientId")))
        if client is None or client.owner != owner or self._removed_if_over(client, now):
            return None
        return client

    def _removed_if_over(self, client: Client, now: float) -> bool:
        allowed = self._rules.interval + self._rules.max_interval
        why = self._rules.over(now - client.opened_at, client.accepted)
        if not why and client.held is None and now - client.idle_since > allowed:
            why = EXPIRED
        if why:
            self._remove(client, why)
        return bool(why)

    def _remove(self, client: Client, why: str) -> None:
        client.gone = True
        del self._clients[client.client_id]
        self._of_owner[client.owner].remove(client)
        if not self._of_owner[client.owner]:
            del self._of_owner[client.owner]
        if client.held is not None:
            client.held.wake()
        self.on_removed(client, why)

    def _meta(
        self, message: Mapping[str, Any], client: Client | None, owner: str | None, now: float
    ) -> Reply:
        channel = message.get("channel")
        reply: Reply = {"channel": channel, "successful": False}
        if "id" in message:
            reply["id"] = message["id"]
        if channel == HANDSHAKE:
            self._handshake(message, owner, now, reply)
        elif not isinstance(channel, str):
            reply["error"] = "400::channel_missing"
        elif client is None:
            reply["error"] = UNKNOWN_CLIENT
        elif channel == SUBSCRIBE:
            self._subscribe(message, client, reply)
        elif channel == UNSUBSCRIBE:
            self._unsubscribe(message, client, reply)
        elif channel == DISCONNECT:
            client.left = True
            self._remove(client, LEFT)
            reply["successful"] = True
        else:
            reply["error"] = "403::publish_denied"
        return reply

    def _handshake(
        self, message: Mapping[str, Any], owner: str | None, now: float, reply: Reply
    ) -> None:
        reply["version"] = "1.0"
        reply["supportedConnectionTypes"] = list(self._rules.transports)
        types = message.get("supportedConnectionTypes")
        if owner is None or not isinstance(types, list) or TRANSPORT not in types:
            reply["error"] = "403::Handshake denied"
            reply["advice"] = {"reconnect": "none"}
            return
        extension = message.get("ext")
        wants_ack = isinstance(extension, Mapping) and extension.get("ack") is True
        client = Client(self._new_id(), owner, now, wants_ack and self._rules.ack, opened_at=now)
        self._clients[client.client_id] = client
        self._of_owner.setdefault(owner, []).append(client)
        reply["successful"] = True
        reply["clientId"] = client.client_id
        reply["advice"] = self._rules.advice()
        if client.ack:
            reply["ext"] = {"ack": True}

    def _connect(
        self,
        message: Mapping[str, Any],
        client: Client | None,
        alone: bool,
        now: float,
        turn: Turn,
    ) -> None:
        reply: Reply = {"channel": CONNECT, "successful": True}
        if "id" in message:
            reply["id"] = message["id"]
        if client is None:
            turn.parts.append(reply | self._rules.unknown_poll())
            return
        if client.held is not None:
            client.held.superseded = True
            client.held.wake()
            client.held = None
        first, client.connected = not client.connected, True
        if client.ack:
            client.acknowledge(message)
        advice = message.get("advice")
        wait = self._rules.timeout
        if isinstance(advice, Mapping) and isinstance(advice.get("timeout"), int | float):
            wait = min(wait, advice["timeout"] / 1000)
        if alone and wait > 0 and not first and not client.queue:
            turn.held = client.held = Held(client, message.get("id"), now + wait)
            return
        client.idle_since = now
        if first:
            reply["advice"] = self._rules.advice()
        turn.parts += self._with_messages(client, reply)

    def _with_messages(self, client: Client, reply: Reply) -> list[Part]:
        messages = client.take()
        if client.ack:
            client.batch += 1
            reply["ext"] = {"ack": client.batch}
            if messages:
                client.unacknowledged.append((client.batch, messages))
        return [*messages, reply]

    def _subscribe(self, message: Mapping[str, Any], client: Client, reply: Reply) -> None:
        wanted = message.get("subscription")
        reply["subscription"] = wanted
        channels = wanted if isinstance(wanted, list) else [wanted]
        if not wanted:
            reply["error"] = "403::subscription_missing"
        elif not all(map(valid_channel, channels)):
            reply["error"] = "403::subscription_invalid"
        elif not all(not c.startswith("/meta/") and self._rules.allows(c) for c in channels):
            reply["error"] = "403::subscription_denied"
        else:
            client.subscriptions.update(channels)
            reply["successful"] = True
            self.on_subscribed(client)

    def _unsubscribe(self, message: Mapping[str, Any], client: Client, reply: Reply) -> None:
        wanted = message.get("subscription")
        reply["subscription"] = wanted
        channels = wanted if isinstance(wanted, list) else [wanted]
        if not wanted:
            reply["error"] = "403::subscription_missing"
        elif not all(map(valid_channel, channels)):
            reply["error"] = "403::subscription_invalid"
        else:
            client.subscriptions.difference_update(channels)
            reply["successful"] = True
