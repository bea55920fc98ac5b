"""Accepts history requests.

Knows reference ids, and how a request becomes an answer. Leaves to `deliveries` when and to
whom the answer goes, and to `faults` what goes wrong. Does not know HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from history_pipeline.simulator import strangers
from history_pipeline.simulator.answers import failure, notification
from history_pipeline.simulator.bayeux_client import Client
from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.calendar_days import written
from history_pipeline.simulator.deliveries import Accepted, Deliveries
from history_pipeline.simulator.faults import Call, Delivery, Faults, HistoryCall, Interference
from history_pipeline.simulator.history_query import (
    CONTACT_HISTORY,
    FORBIDDEN,
    INTERACTION_HISTORY,
    NOT_FOUND,
    VALUE_INVALID,
    HistoryQuery,
    QueryRules,
    Refused,
    parse_query,
)
from history_pipeline.simulator.shelf import Shelf
from history_pipeline.simulator.stats import Stats
from history_pipeline.simulator.world import World

_NOBODY = -1
"""In place of a contact's number: it is unknown, and the request is accepted all the same."""

_EARLY_HEADSTART = 0.01
"""Seconds that the HTTP reply waits after an early notification was queued."""


class Interfered(Exception):
    """The request is not looked at; the interference is the reply."""

    def __init__(self, interference: Interference) -> None:
        super().__init__(interference.fault)
        self.interference = interference


class References:
    """The counters of reference ids: one for a node, or one for each of its CometD sessions.

    What is asked before there is a CometD session is counted on the node in both cases.
    """

    def __init__(self, by_session: bool) -> None:
        self._by_session = by_session
        self._last: dict[Client | None, int] = {}

    def next(self, client: Client | None) -> int:
        counter = client if self._by_session else None
        self._last[counter] = self._last.get(counter, 0) + 1
        return self._last[counter]

    def forget(self, client: Client) -> None:
        self._last.pop(client, None)


@dataclass(slots=True, eq=False)
class HistoryCalls:
    """The UCS behind the API of one node."""

    world: World
    shelf: Shelf
    behaviour: Behaviour
    faults: Faults
    deliveries: Deliveries
    stats: Stats
    today: Callable[[], date]
    references: References = field(init=False)
    _rules: QueryRules = field(init=False)
    _parsed: Callable[[bytes, str, date], HistoryQuery] = field(init=False)

    def __post_init__(self) -> None:
        self.references = References(self.behaviour.reference_ids == "session")
        behaviour = self.behaviour
        self._rules = QueryRules(
            ZoneInfo(behaviour.days_zone) if behaviour.days_zone else self.world.zone,
            behaviour.to_date_included,
            behaviour.sort_obeyed,
            behaviour.source_obeyed,
            behaviour.max_size_refused_above,
            behaviour.max_size_cut_at,
        )
        # A run asks the same of every contact: its body is read once.
        self._parsed = lru_cache(maxsize=256)(self._parse)

    async def ask(self, call: Call, body: bytes, contact_id: str | None, owner: str) -> bytes:
        """The envelope that accepts the request; raises Refused or Interfered."""
        loop = asyncio.get_running_loop()
        operation = INTERACTION_HISTORY if contact_id is None else CONTACT_HISTORY
        self.stats.asked(operation, loop.time())
        query = self._parsed(body, operation, self.today())
        index = None if contact_id is None else self._index(contact_id)
        if index is None:
            if not self.behaviour.interaction_history:
                raise Refused(FORBIDDEN, "unknown operation")
            await asyncio.to_thread(self.shelf.timeline.keys)
        interference = self.faults.over_limit(call, loop.time(), self.stats.in_flight)
        if interference is not None:
            raise Interfered(interference)
        accepted = self._accepted(call, contact_id, index, query, owner)
        await self._replied_and_due(call, accepted)
        return b'{"statusCode":0,"referenceId":%d}' % accepted.call.reference_id

    def removed(self, client: Client) -> None:
        """A CometD session is gone."""
        self.deliveries.removed(client)
        self.references.forget(client)

    def _accepted(
        self,
        call: Call,
        contact_id: str | None,
        index: int | None,
        query: HistoryQuery,
        owner: str,
    ) -> Accepted:
        client = self.deliveries.listener(owner)
        history_call = HistoryCall(
            self.references.next(client),
            contact_id,
            query.source,
            self.stats.accepted(),
            call.identity,
            call.turn,
        )
        delivery = self.faults.delivery(history_call)
        answer = partial(self._answer, history_call, index, query, delivery)
        beside = self._beside(history_call, query, delivery, client)
        accepted = Accepted(history_call, delivery, owner, client, answer, beside)
        self.stats.inject(*delivery.faults)
        self.deliveries.open(accepted, asyncio.get_running_loop().time())
        return accepted

    async def _replied_and_due(self, call: Call, accepted: Accepted) -> None:
        """Returns when the HTTP reply may go out; the notification is on its way then."""
        hold_back = self.faults.before_reply(call)
        if accepted.delivery.early:
            self.stats.notifications_early += 1
            self.deliveries.send(accepted)
            hold_back = max(hold_back, _EARLY_HEADSTART)
        if hold_back:
            await asyncio.sleep(hold_back)
        if not accepted.delivery.early:
            self.deliveries.due_in(accepted, accepted.delivery.delay)

    def _index(self, contact_id: str) -> int:
        index = self.world.index_of(contact_id)
        if index is None:
            return self._unknown()
        if not self.faults.contact_known(contact_id):
            self.stats.inject("unknown_contact")
            return self._unknown()
        if self.shelf.changes is not None and not self.shelf.changes.known(index):
            return self._unknown()
        return index

    def _unknown(self) -> int:
        manner = self.behaviour.unknown_contacts
        if manner in ("empty", "error-message"):
            return _NOBODY
        raise Refused(NOT_FOUND, "contact not found", 200 if manner == "code-6" else None)

    def _parse(self, body: bytes, operation: str, today: date) -> HistoryQuery:
        try:
            parsed: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused(VALUE_INVALID, "the body is no JSON") from None
        return parse_query(parsed, operation, self._rules, today)

    def _answer(
        self, call: HistoryCall, index: int | None, query: HistoryQuery, delivery: Delivery
    ) -> bytes:
        """The notification, made of what the sources hold at this moment."""
        if delivery.error_message is not None:
            return failure(call.reference_id, delivery.error_message)
        if index == _NOBODY:
            if self.behaviour.unknown_contacts == "empty":
                return notification(call.reference_id, [])
            return failure(call.reference_id, "contact not found")
        if index is None:
            records = self.shelf.interaction_history(query)
        else:
            records = self.shelf.contact_history(index, query)
        return notification(call.reference_id, records[: self.behaviour.answer_cap])

    def _beside(
        self, call: HistoryCall, query: HistoryQuery, delivery: Delivery, client: Client | None
    ) -> list[bytes]:
        """Strangers take reference ids of the same counter, so that theirs could be ours."""
        beside: list[bytes] = []
        for _ in range(delivery.foreign):
            start = written((query.from_ms + query.until_ms) // 2, self.world.zone)
            beside.append(strangers.foreign(self.references.next(client), start))
        if delivery.other_type is not None:
            beside.append(strangers.OTHER_TYPES[delivery.other_type](call.reference_id))
        return beside
