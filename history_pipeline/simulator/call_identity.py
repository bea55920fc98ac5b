"""What a call asks, and for the how-manieth time.

Knows where calls go and what makes two of them the same: a history request is its path and
body, a page of contacts its query, a poll its CometD session. Keeps one number for each thing
ever asked. Does not know sessions, replies or faults.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec

from history_pipeline.simulator.draws import key_number
from history_pipeline.simulator.faults import Call
from history_pipeline.simulator.paths import (
    CONTACTS_PATH,
    INTERACTIONS_PATH,
    ME_PATH,
    NOTIFICATIONS_PATH,
    contact_in,
)


class Identities:
    """Counts the turns. One for all nodes: a call that comes again may come to another."""

    def __init__(self) -> None:
        self._turns: defaultdict[int, int] = defaultdict(int)

    def __len__(self) -> int:
        return len(self._turns)

    def identified(self, call: Call, query: str, body: bytes) -> Call:
        """The call with its place, identity and turn; calls to nowhere are left as they are."""
        place, thing = _thing(call, query, body)
        if not place:
            return call
        identity = key_number(place, *thing)
        self._turns[identity] += 1
        return Call(call.ordinal, call.method, call.path, place, identity, self._turns[identity])


def _thing(call: Call, query: str, body: bytes) -> tuple[str, tuple[Any, ...]]:
    path = call.path
    if call.method == "GET":
        if path == CONTACTS_PATH:
            return "contacts", (query,)
        return ("login", ()) if path == ME_PATH else ("", ())
    if call.method != "POST":
        return "", ()
    if path.startswith(NOTIFICATIONS_PATH):
        poller = _poller(body)
        return ("handshakes", ()) if poller is None else ("polls", (poller,))
    if path == INTERACTIONS_PATH or contact_in(path) is not None:
        return "history", (path, body)
    return "", ()


def _poller(body: bytes) -> str | None:
    """The client id of the `/meta/connect` in a POST, or None if there is none in it."""
    try:
        messages: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    for message in messages if isinstance(messages, list) else [messages]:
        if isinstance(message, dict) and message.get("channel") == "/meta/connect":
            return str(message.get("clientId"))
    return None
