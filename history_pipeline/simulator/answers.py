"""The text of an answer.

Knows how a record and a notification are written, as bytes, so that what is sent often is
encoded once. Does not know which records an answer has, HTTP or Bayeux sessions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

CHANNEL = "/v2/ucs/interactions"
MESSAGE_TYPE = "GetInteractionsHistoryMessage"

_encode = msgspec.json.Encoder().encode


def encode(value: Any) -> bytes:
    """JSON; what UTF-8 cannot hold (lone surrogates) is escaped, as JSON allows."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(value).encode()


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record ready to be sent; `body` lacks the custom attributes and the final brace.

    `origin` is whose it is and its number there, if the archiver may move it.
    """

    start_ms: int
    media_type: str | None
    body: bytes
    attributes: dict[str, tuple[Any, bytes]] | None
    origin: tuple[int, int] | None = None

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


def encoded(start_ms: int, payload: Any, origin: tuple[int, int] | None = None) -> Encoded:
    if not isinstance(payload, dict):
        return Encoded(start_ms, None, encode(payload), None)
    media_type = payload["mediaType"].casefold()
    attributes = payload.get("customAttributes")
    if attributes is None:
        return Encoded(start_ms, media_type, encode(payload), None, origin)
    core = payload.copy()
    del core["customAttributes"]
    held = {name: (value, _attribute(name, value)) for name, value in attributes.items()}
    return Encoded(start_ms, media_type, encode(core)[:-1], held, origin)


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
