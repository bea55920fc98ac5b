"""Accepted requests on their way to a notification.

Knows when each is due, in which CometD session, and what happens to it when that session ends.
Does not know what an answer says, nor why one goes astray.

A request belongs to the CometD session that its HTTP session listened in when it was accepted
(where there was none yet, to the one that listens when it is due). It is in flight from then
until its notification is queued for that session, or was to be and is lost, or the session ends.

    accepted ──due──> queued for the next poll          in flight no more
        │        ├──> lost, mute, undeliverable         in flight no more
        │        ├──> kept for a later session          in flight no more
        │        └──> waits to be overtaken ──> queued
        └── the session ends: dropped                   in flight no more
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from history_pipeline.simulator.answers import CHANNEL
from history_pipeline.simulator.bayeux_client import Client
from history_pipeline.simulator.bayeux_server import BayeuxServer
from history_pipeline.simulator.faults import Delivery, Faults, HistoryCall
from history_pipeline.simulator.stats import Stats

_MOST_LEFT_OVER = 10_000


@dataclass(slots=True, eq=False)
class Accepted:
    """One accepted request. `answer` writes its notification, `beside` what goes before it."""

    call: HistoryCall
    delivery: Delivery
    owner: str
    client: Client | None
    answer: Callable[[], bytes]
    beside: list[bytes] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    in_flight: bool = True


class Deliveries:
    """Those of one node."""

    def __init__(
        self, bayeux: BayeuxServer, faults: Faults, stats: Stats, *, heard_by_all: bool = False
    ) -> None:
        self._bayeux = bayeux
        self._heard_by_all = heard_by_all
        self._faults = faults
        self._stats = stats
        self._open: dict[Client, set[Accepted]] = {}
        self._overtaken: dict[Client, Accepted] = {}
        self._outliving: dict[Client, list[Accepted]] = {}
        self._left_over: deque[Accepted] = deque(maxlen=_MOST_LEFT_OVER)

    def listener(self, owner: str) -> Client | None:
        """The CometD session in which this HTTP session hears answers now."""
        return self._bayeux.subscriber(owner, CHANNEL)

    def open(self, accepted: Accepted, now: float) -> None:
        """The request belongs to its session from now on; it may be the one that ends it."""
        client = accepted.client
        if client is not None:
            self._bind(accepted, client)
            self._bayeux.accepted(client, now)

    def due_in(self, accepted: Accepted, seconds: float) -> None:
        """Sends it then, unless its session has ended."""
        if accepted.in_flight:
            loop = asyncio.get_running_loop()
            accepted.timer = loop.call_later(seconds, self.send, accepted)

    def send(self, accepted: Accepted) -> None:
        """It is due: does what its delivery says."""
        if not accepted.in_flight:
            return
        delivery, client = accepted.delivery, self._reached(accepted)
        if not delivery.copies:
            self._stats.notifications_lost += 1
        if client is None:
            self._stats.notifications_undeliverable += bool(delivery.copies)
            self._settle(accepted)
        elif delivery.after_epoch:
            self._outliving.setdefault(client, []).append(accepted)
            self._settle(accepted)
        elif delivery.overtaken_within is not None and client not in self._overtaken:
            self._overtaken[client] = accepted
            accepted.timer = asyncio.get_running_loop().call_later(
                delivery.overtaken_within, self._release, client
            )
        else:
            self._queue(client, accepted)
            self._release(client)

    def removed(self, client: Client) -> None:
        """The session is gone, and with it what was to be answered in it."""
        self._overtaken.pop(client, None)
        self._left_over.extend(self._outliving.pop(client, ()))
        for accepted in sorted(self._open.pop(client, ()), key=lambda one: one.call.ordinal):
            if accepted.timer is not None:
                accepted.timer.cancel()
            accepted.client = None
            self._settle(accepted)
            if accepted.delivery.after_epoch:
                self._left_over.append(accepted)
            else:
                self._stats.notifications_dropped += 1

    def subscribed(self, client: Client) -> None:
        """A session listens: what outlived an earlier one is put in it."""
        if client.hears(CHANNEL):
            while self._left_over:
                self._queue(client, self._left_over.popleft())

    def _reached(self, accepted: Accepted) -> Client | None:
        """The session that hears the answer: its own, or else the one that listens by now."""
        client = accepted.client
        if client is None or not client.hears(CHANNEL):
            client = self.listener(accepted.owner)
            if client is not None:
                self._bind(accepted, client)
        return client

    def _bind(self, accepted: Accepted, client: Client) -> None:
        if accepted.client is not None and accepted.client is not client:
            self._open[accepted.client].discard(accepted)
        accepted.client = client
        self._open.setdefault(client, set()).add(accepted)

    def _release(self, client: Client) -> None:
        """Whoever waited to be overtaken goes out now."""
        accepted = self._overtaken.pop(client, None)
        if accepted is not None:
            if accepted.timer is not None:
                accepted.timer.cancel()
            self._queue(client, accepted)

    def _queue(self, client: Client, accepted: Accepted) -> None:
        """All that there is to send goes out; of a lost one, what was to go before it."""
        for message in accepted.beside:
            self._put(client, accepted.call, message)
        if accepted.delivery.copies:
            answer = accepted.answer()
            copies = range(accepted.delivery.copies)
            sent = sum(self._put(client, accepted.call, answer) for _ in copies)
            self._stats.notifications_sent += sent
            if not sent:
                self._stats.notifications_lost += 1
                self._stats.inject("mute")
        self._settle(accepted)

    def _put(self, client: Client, call: HistoryCall, message: bytes) -> bool:
        passed = self._faults.notification(call, message)
        if passed is not None:
            heard_by = self._bayeux.subscribers(CHANNEL) if self._heard_by_all else [client]
            for each in heard_by:
                self._bayeux.deliver(each, passed)
        return passed is not None

    def _settle(self, accepted: Accepted) -> None:
        if not accepted.in_flight:
            return
        accepted.in_flight = False
        self._stats.settled()
        if accepted.client is not None:
            self._open[accepted.client].discard(accepted)
