"""The records of an answer as they came: JSON, one array, undecoded. Pure.

Decoding many answers at one stretch is what makes it fast; a record that cannot be decoded must
cost no other.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a strict decoder raises."""

EMPTY = msgspec.Raw(b"[]")

_decode = msgspec.json.Decoder(list[Any]).decode
_apart = msgspec.json.Decoder(list[msgspec.Raw]).decode


def array(records: list[msgspec.Raw]) -> msgspec.Raw:
    """An answer of these records."""
    return msgspec.Raw(b"[" + b",".join(map(bytes, records)) + b"]")


def size(answer: msgspec.Raw) -> int:
    """Bytes of JSON."""
    return memoryview(answer).nbytes


def decoded(answer: msgspec.Raw) -> list[Any]:
    """Every record. Raises one of UNDECODABLE where a single one cannot be decoded."""
    return _decode(answer)


def records(answer: msgspec.Raw) -> list[msgspec.Raw]:
    """Every record, undecoded and apart from its neighbours."""
    try:
        return _apart(answer)
    except UNDECODABLE:
        return _apart_leniently(answer)


def _apart_leniently(answer: msgspec.Raw) -> list[msgspec.Raw]:
    """Half a surrogate pair in one text makes the strict decoder refuse the whole array."""
    try:
        elements = json.loads(bytes(answer).decode(errors="surrogateescape"), strict=False)
    except (ValueError, RecursionError):
        return [answer]
    return [msgspec.Raw(json.dumps(element).encode()) for element in elements]
