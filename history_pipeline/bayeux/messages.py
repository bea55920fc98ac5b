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
    supported: Any = msgspec.field(default=None, name="supportedConnectionTypes")

    @property
    def transports(self) -> tuple[str, ...]:
        """What a handshake offers to connect by."""
        told = self.supported if isinstance(self.supported, list) else []
        return tuple(each for each in told if isinstance(each, str))

    @property
    def ack(self) -> Any:
        """What the `ack` extension says here: True in a handshake, a number in a connect."""
        return self.ext.get("ack") if isinstance(self.ext, dict) else None


_decoder = msgspec.json.Decoder(list[Message])
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
        elements = json.loads(body.decode("utf-8", errors="surrogateescape"), strict=False)
    except (ValueError, RecursionError) as exc:
        raise ServerFault("the CometD reply is no array of Bayeux messages") from exc
    if not isinstance(elements, list):
        raise ServerFault("the CometD reply is no array of Bayeux messages")
    return [
        _message(element)
        for element in elements
        if isinstance(element, dict) and isinstance(element.get("channel"), str)
    ]


def _message(element: dict[str, Any]) -> Message:
    """A message with what can be read of it; a field of the wrong type says nothing."""
    successful = element.get("successful")
    error = element.get("error")
    return Message(
        channel=element["channel"],
        successful=successful if isinstance(successful, bool) else None,
        client_id=_text(element.get("clientId")),
        subscription=element.get("subscription"),
        error=None if error is None else str(error).encode("ascii", "replace").decode(),
        advice=_advice(element.get("advice")),
        ext=element.get("ext"),
        supported=element.get("supportedConnectionTypes"),
        data=msgspec.Raw(json.dumps(element.get("data")).encode()),
    )


def _advice(told: Any) -> Advice | None:
    if not isinstance(told, dict):
        return None
    interval, timeout = told.get("interval"), told.get("timeout")
    return Advice(
        reconnect=_text(told.get("reconnect")),
        interval=interval if isinstance(interval, int | float) else None,
        timeout=timeout if isinstance(timeout, int | float) else None,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def encode(message: dict[str, Any]) -> bytes:
    """A request that carries this one message."""
    return _encoder.encode([message])
