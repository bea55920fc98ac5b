"""Bayeux messages as bytes and back.

Knows the envelope of a message. Does not know what a channel's data means, nor in which
state a session is.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from history_pipeline.errors import ServerFault

HANDSHAKE = "/meta/handshake"
CONNECT = "/meta/connect"
SUBSCRIBE = "/meta/subscribe"
DISCONNECT = "/meta/disconnect"


class Advice(msgspec.Struct, frozen=True):
    """What the server wants done next. `interval` and `timeout` are in milliseconds."""

    reconnect: str | None = None
    interval: float | None = None
    timeout: float | None = None


class Message(msgspec.Struct, frozen=True):
    """One element of a reply. `data` stays undecoded: whoever owns the channel reads it."""

    channel: str
    id: str | int | None = None
    successful: bool | None = None
    client_id: str | None = msgspec.field(default=None, name="clientId")
    subscription: Any = None
    error: str | None = None
    advice: Advice | None = None
    ext: Any = None
    data: msgspec.Raw = msgspec.Raw(b"")

    @property
    def ack(self) -> Any:
        """What the `ack` extension says here: True in a handshake, a number in a connect."""
        return self.ext.get("ack") if isinstance(self.ext, dict) else None


_decoder = msgspec.json.Decoder(list[Message])
_one = msgspec.json.Decoder(Message)
_encoder = msgspec.json.Encoder()


def decode(body: bytes) -> list[Message]:
    """Every element of a reply, in order.

    Raises ServerFault where the reply is no array of messages: a cut reply, an HTML page.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_leniently(body)


def _decode_leniently(body: bytes) -> list[Message]:
    """Some JSON that servers write is refused by the strict decoder as a whole, such as half
    a surrogate pair in one text. It must not cost the messages beside it."""
    try:
        elements = json.loads(body.decode("utf-8", errors="replace"))
        if not isinstance(elements, list):
            raise TypeError("not an array")
        return [_message(element) for element in elements]
    except (ValueError, TypeError, RecursionError, msgspec.DecodeError) as exc:
        raise ServerFault("the CometD reply is no array of Bayeux messages") from exc


def _message(element: Any) -> Message:
    data = element.pop("data", None) if isinstance(element, dict) else None
    envelope = _one.decode(json.dumps(element).encode())
    return msgspec.structs.replace(envelope, data=msgspec.Raw(json.dumps(data).encode()))


def encode(message: dict[str, Any]) -> bytes:
    """A request that carries this one message."""
    return _encoder.encode([message])
