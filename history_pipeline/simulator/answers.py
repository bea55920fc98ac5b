"""The text of an answer.

Knows how to select records for a query and to write them as a notification. Keeps the
encoded records of the contacts asked for lately, bounded by number. Does not know HTTP or
Bayeux sessions.
"""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from history_pipeline.simulator.history_query import HistoryQuery
from history_pipeline.simulator.world import ARCHIVE, MAIN, Placed, World

CHANNEL = "/v2/ucs/interactions"
MESSAGE_TYPE = "GetInteractionsHistoryMessage"

_start = attrgetter("start_ms")
_encode = msgspec.json.Encoder().encode
_INDEX_BITS = 22
_INDEX_MASK = (1 << _INDEX_BITS) - 1


def encode(value: Any) -> bytes:
    """JSON; what UTF-8 cannot hold (lone surrogates) is escaped, as JSON allows."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record ready to be sent; `body` lacks the custom attributes and the final brace."""

    start_ms: int
    media_type: str | None
    body: bytes
    attributes: dict[str, tuple[Any, bytes]] | None

    def text(self, names: tuple[str, ...]) -> bytes:
        """The record with those of its custom attributes that were asked for."""
        if self.attributes is None:
            return self.body
        if not names:
            return self.body + b"}"
        held = self.attributes
        chosen = [held[name][1] for name in names if name in held]
        return self.body + b',"customAttributes":{' + b",".join(chosen) + b"}}"

    def matches(self, search: tuple[tuple[str, str], ...]) -> bool:
        held = self.attributes or {}
        return all(name in held and held[name][0] == value for name, value in search)


def encoded(start_ms: int, payload: Any) -> Encoded:
    if not isinstance(payload, dict):
        return Encoded(start_ms, None, encode(payload), None)
    media_type = payload["mediaType"].casefold()
    attributes = payload.get("customAttributes")
    if attributes is None:
        return Encoded(start_ms, media_type, encode(payload), None)
    core = payload.copy()
    del core["customAttributes"]
    held = {name: (value, _attribute(name, value)) for name, value in attributes.items()}
    return Encoded(start_ms, media_type, encode(core)[:-1], held)


def _attribute(name: str, value: Any) -> bytes:
    return _text_attribute(name, value) if isinstance(value, str) else _pair(name, value)


def _pair(name: str, value: Any) -> bytes:
    return encode(name) + b":" + encode(value)


_text_attribute = lru_cache(maxsize=4096)(_pair)


def notification(reference_id: int, records: Iterable[bytes]) -> bytes:
    """The Bayeux message that answers a request (guide, 1.3)."""
    return b'{"channel":"%b","data":{"referenceId":%d,"messageType":"%b","interactions":[%b]}}' % (
        CHANNEL.encode(),
        reference_id,
        MESSAGE_TYPE.encode(),
        b",".join(records),
    )


def failure(reference_id: int, error_message: str) -> bytes:
    """The Bayeux message that says that an accepted request has failed."""
    told = {
        "referenceId": reference_id,
        "messageType": MESSAGE_TYPE,
        "errorMessage": error_message,
    }
    return encode({"channel": CHANNEL, "data": told})


class Shelf:
    """Encoded records of the contacts asked for lately; at most `bound` contacts."""

    def __init__(self, world: World, bound: int = 2048) -> None:
        self._world = world
        self._bound = bound
        self._kept: OrderedDict[int, dict[str, list[Encoded]]] = OrderedDict()
        self._timeline: array[int] | None = None
        self._own = lru_cache(maxsize=512)(lambda index: _by_source(world.own_history(index)))

    def warm(self, index: int) -> None:
        self._held(index)

    def contact_history(self, index: int, query: HistoryQuery) -> list[bytes]:
        """The records of one contact, in the order asked for."""
        held = self._held(index)[query.source]
        names = query.attributes
        found = [one.text(names) for one in held if _selected(one, query)]
        return found if query.ascending else found[::-1]

    def interaction_history(self, query: HistoryQuery) -> list[bytes]:
        """The records of all contacts, up to `max_size`; what was merged counts once."""
        found: list[bytes] = []
        for ms, index in self._moments(query):
            held = self._own(index)[query.source]
            first = bisect_left(held, ms, key=_start)
            after = bisect_right(held, ms, lo=first, key=_start)
            for one in held[first:after]:
                if _selected(one, query):
                    found.append(one.text(query.attributes))
            if query.max_size is not None and len(found) >= query.max_size:
                return found[: query.max_size]
        return found

    def build_timeline(self) -> None:
        """Orders the starts of the whole world; seconds for a million, so ask it in a thread."""
        if self._timeline is None:
            keys = [
                ms << _INDEX_BITS | index
                for index in range(self._world.size)
                for ms in self._world.own_starts(index)
            ]
            self._timeline = array("Q", sorted(set(keys)))

    def _moments(self, query: HistoryQuery) -> Iterator[tuple[int, int]]:
        self.build_timeline()
        keys = self._timeline or array("Q")
        low = bisect_left(keys, max(query.from_ms, 0) << _INDEX_BITS)
        high = bisect_left(keys, max(query.until_ms, 0) << _INDEX_BITS)
        order = range(low, high) if query.ascending else range(high - 1, low - 1, -1)
        return ((keys[at] >> _INDEX_BITS, keys[at] & _INDEX_MASK) for at in order)

    def _held(self, index: int) -> dict[str, list[Encoded]]:
        held = self._kept.get(index)
        if held is None:
            held = _by_source(self._world.history(index))
            self._kept[index] = held
            if len(self._kept) > self._bound:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return held


def _selected(one: Encoded, query: HistoryQuery) -> bool:
    return (
        query.from_ms <= one.start_ms < query.until_ms
        and (query.media_type is None or one.media_type == query.media_type)
        and (not query.search or one.matches(query.search))
    )


def _by_source(history: list[Placed]) -> dict[str, list[Encoded]]:
    held: dict[str, list[Encoded]] = {MAIN: [], ARCHIVE: []}
    for placed in history:
        for source, payload in placed.copies:
            held[source].append(encoded(placed.start_ms, payload))
    return held
