"""Answers decoded into records: the fields of the API's sample, and what else one says. Pure.

A record with no other fields is decoded straight into them. Any other is decoded as it comes, and
goes field by field: what has no place in one is its rest, so that nothing of it is lost.
"""

from __future__ import annotations

from typing import Any

import msgspec

from history_pipeline.gws import payloads


class Owner(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    id: Any = None
    userName: Any = None
    firstName: Any = None
    lastName: Any = None


class Record(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A field that is null or not there is None; one of another type than the sample's is as it
    came."""

    id: Any = None
    contactId: Any = None
    mediaType: Any = None
    typeId: Any = None
    state: Any = None
    subject: Any = None
    uri: Any = None
    startDate: Any = None
    endDate: Any = None
    ownerInformation: Owner | None = None
    customAttributes: dict[str, Any] | None = None


class _WithRest(Record, gc=False, kw_only=True):
    rest: dict[str, Any]


class Unread(msgspec.Struct, frozen=True):
    """Where a record should be; `reason` is a word for the ledger."""

    reason: str


_NOT_AN_OBJECT = Unread("not_an_object")
_NOT_READABLE = Unread("not_readable_json")

_FIELDS, _OWNER_FIELDS = Record.__struct_fields__, Owner.__struct_fields__
_OWNER, _ATTRIBUTES = "ownerInformation", "customAttributes"

_as_the_sample = msgspec.json.Decoder(list[Record]).decode
_decode = msgspec.json.Decoder().decode


def read(answer: msgspec.Raw) -> list[Record | Unread]:
    """Every record of an answer; where one cannot be decoded, the others still are."""
    try:
        return _as_the_sample(answer)  # type: ignore[return-value]
    except payloads.UNDECODABLE:
        pass  # as far as these go
    try:
        return list(map(_of, payloads.decoded(answer)))
    except payloads.UNDECODABLE:
        return list(map(_read_apart, payloads.records(answer)))


def rests(records: list[Record]) -> list[dict[str, Any] | None]:
    """What each record says beside its fields."""
    if _WithRest not in set(map(type, records)):
        return [None] * len(records)
    return [record.rest if type(record) is _WithRest else None for record in records]


def _read_apart(record: msgspec.Raw) -> Record | Unread:
    try:
        return _of(_decode(record))
    except payloads.UNDECODABLE:
        return _NOT_READABLE


def _of(given: Any) -> Record | Unread:
    """Takes what belongs to a field out of a decoded object."""
    if type(given) is not dict:
        return _NOT_AN_OBJECT
    fields = {name: given.pop(name, None) for name in _FIELDS}
    owner, attributes = fields[_OWNER], fields[_ATTRIBUTES]
    if type(owner) is dict:
        fields[_OWNER] = Owner(*[owner.pop(name, None) for name in _OWNER_FIELDS])
        if owner:
            given[_OWNER] = owner
    elif owner is not None:
        fields[_OWNER], given[_OWNER] = None, owner
    if attributes is not None and type(attributes) is not dict:
        fields[_ATTRIBUTES], given[_ATTRIBUTES] = None, attributes
    return _WithRest(**fields, rest=given) if given else Record(**fields)
