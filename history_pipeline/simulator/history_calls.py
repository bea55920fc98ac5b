"""Accepts history requests and sends their notifications later.

Knows reference ids, delays and to whom an answer goes: the CometD client of the HTTP session
that asked, looked up when the answer is ready. Does not know HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from history_pipeline.simulator.answers import CHANNEL, Shelf, failure, notification
from history_pipeline.simulator.bayeux_server import BayeuxServer
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.faults import Call, Delivery, Faults, HistoryCall
from history_pipeline.simulator.history_query import (
    CONTACT_HISTORY,
    INTERACTION_HISTORY,
    NOT_FOUND,
    VALUE_INVALID,
    HistoryQuery,
    QueryRules,
    Refused,
    parse_query,
)
from history_pipeline.simulator.stats import Stats
from history_pipeline.simulator.world import World

_EARLY_HEADSTART = 0.01
"""Seconds that the HTTP reply waits after an early notification was queued."""


@dataclass(slots=True, eq=False)
class HistoryCalls:
    """The UCS behind the API."""

    world: World
    behaviour: Behaviour
    faults: Faults
    bayeux: BayeuxServer
    stats: Stats
    today: Callable[[], date]
    _references: int = 0
    _shelf: Shelf = field(init=False)
    _rules: QueryRules = field(init=False)
    _parsed: Callable[[bytes, str, date], HistoryQuery] = field(init=False)

    def __post_init__(self) -> None:
        self._shelf = Shelf(self.world)
        self._rules = QueryRules(self.world.zone, self.behaviour.to_date_included)
        # A run asks the same of every contact: its body is read once.
        self._parsed = lru_cache(maxsize=256)(self._parse)

    async def ask(self, call: Call, body: bytes, contact_id: str | None, owner: str) -> bytes:
        """The envelope that accepts the request; raises Refused."""
        loop = asyncio.get_running_loop()
        operation = INTERACTION_HISTORY if contact_id is None else CONTACT_HISTORY
        self.stats.asked(operation, loop.time())
        query = self._parsed(body, operation, self.today())
        index = None if contact_id is None else self._index(contact_id)
        if index is None:
            await asyncio.to_thread(self._shelf.build_timeline)
        self._references += 1
        reference_id = self._references
        self.stats.accepted()
        history_call = HistoryCall(reference_id, contact_id, query.source)
        delivery = self.faults.delivery(history_call)
        hold_back = self.faults.before_reply(call)
        if delivery.early:
            self.stats.notifications_early += 1
            self._settle(history_call, index, query, delivery, owner)
            hold_back = max(hold_back, _EARLY_HEADSTART)
        if hold_back:
            await asyncio.sleep(hold_back)
        if not delivery.early:
            loop.call_later(
                delivery.delay, self._settle, history_call, index, query, delivery, owner
            )
        return b'{"statusCode":0,"referenceId":%d}' % reference_id

    def warm(self) -> None:
        """Generates the first contact, which can be a giant, before anyone waits for it."""
        if self.world.size:
            self._shelf.warm(0)

    def _index(self, contact_id: str) -> int:
        index = self.world.index_of(contact_id)
        if index is None:
            raise Refused(NOT_FOUND, "contact not found")
        return index

    def _parse(self, body: bytes, operation: str, today: date) -> HistoryQuery:
        try:
            parsed: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused(VALUE_INVALID, "the body is no JSON") from None
        return parse_query(parsed, operation, self._rules, today)

    def _settle(
        self,
        call: HistoryCall,
        index: int | None,
        query: HistoryQuery,
        delivery: Delivery,
        owner: str,
    ) -> None:
        """Sends what the delivery says, or drops it; the request is in flight no more."""
        self.stats.settled()
        if not delivery.copies:
            self.stats.notifications_lost += 1
            return
        client = self.bayeux.subscriber(owner, CHANNEL)
        if client is None:
            self.stats.notifications_undeliverable += 1
            return
        message = self.faults.notification(call, self._message(call, index, query, delivery))
        for _ in range(delivery.copies):
            self.bayeux.deliver(client, message)
            self.stats.notifications_sent += 1

    def _message(
        self, call: HistoryCall, index: int | None, query: HistoryQuery, delivery: Delivery
    ) -> bytes:
        if delivery.error_message is not None:
            return failure(call.reference_id, delivery.error_message)
        if index is None:
            records = self._shelf.interaction_history(query)
        else:
            records = self._shelf.contact_history(index, query)
        return notification(call.reference_id, records[: self.behaviour.answer_cap])
