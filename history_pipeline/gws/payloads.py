"""The records of an answer as they came: JSON, one array, undecoded. Pure.

Decoding many answers at one stretch is what makes it fast; a record that cannot be decoded must
cost no other.
"""

from __future__ import annotations

import json

import msgspec

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a strict decoder raises."""

EMPTY = msgspec.Raw(b"[]")

_apart = msgspec.json.Decoder(list[msgspec.Raw]).decode

_LEAST_RECORD = 24
"""Bytes of the shortest record that has an id and a start."""


class _Named(msgspec.Struct):
    id: str


_named = msgspec.json.Decoder(_Named).decode


def array(records: list[msgspec.Raw]) -> msgspec.Raw:
    """An answer of these records."""
    return msgspec.Raw(b"[" + b",".join(map(bytes, records)) + b"]")


def size(answer: msgspec.Raw) -> int:
    """Bytes of JSON."""
    return memoryview(answer).nbytes


def count(answer: msgspec.Raw) -> int:
    """How many records it has."""
    return len(records(answer))


def is_shorter(answer: msgspec.Raw, length: int) -> bool:
    """Whether it is too small to have so many readable records: cheaper than to count them."""
    return size(answer) < length * _LEAST_RECORD


def by_identity(answer: msgspec.Raw) -> dict[str | bytes, msgspec.Raw]:
    """Every record, by its id; by itself where it has none. In the order in which they came."""
    return {_identity(record): record for record in records(answer)}


def _identity(record: msgspec.Raw) -> str | bytes:
    try:
        return _named(record).id
    except (*UNDECODABLE, msgspec.ValidationError):
        return bytes(record)


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
