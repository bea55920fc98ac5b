"""Answers decoded into records: the fields of the API's sample, and what else one says. Pure.

A record is decoded straight into its fields, and into those that other records had beside them.
Where one has still others, or an object is none, it is decoded as it comes and goes field by field:
what has no place is its rest, so that nothing of it is lost.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence
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
    """One that was decoded as it comes."""

    rest: dict[str, Any]


class Unread(msgspec.Struct, frozen=True):
    """Where a record should be; `reason` is a word for the ledger."""

    reason: str


_NOT_AN_OBJECT = Unread("not_an_object")
_NOT_READABLE = Unread("not_readable_json")

_FIELDS, _OWNER_FIELDS = Record.__struct_fields__, Owner.__struct_fields__
_OWNER, _ATTRIBUTES = "ownerInformation", "customAttributes"

_OTHERS_AT_MOST = 64
"""A server may make field names up as it goes."""

_decode = msgspec.json.Decoder().decode
_decode_record = msgspec.json.Decoder(Record).decode


class Reader:
    """Decodes answers. One per run: fields beside the sample's that it met are decoded like those
    from then on."""

    def __init__(self) -> None:
        self._others: dict[str, None] = {}
        self._decode = msgspec.json.Decoder(list[Record]).decode

    def read(self, answer: msgspec.Raw) -> Sequence[Record | Unread]:
        """Every record; where one cannot be decoded, the others still are."""
        try:
            return self._decode(answer)
        except payloads.UNDECODABLE:
            records = list(map(_read_apart, payloads.records(answer)))
            self._learn(records)
            return records

    def _learn(self, records: list[Record | Unread]) -> None:
        met = (name for each in records if type(each) is _WithRest for name in each.rest)
        # a field of another shape than the sample's stays apart; an odd name cannot be a field's
        named = (name for name in met if name not in _FIELDS and name.isidentifier())
        others = self._others | dict.fromkeys(named)
        if len(self._others) < len(others) <= _OTHERS_AT_MOST:
            self._others = others
            self._decode = msgspec.json.Decoder(list[_wider(others)]).decode  # type: ignore[misc]


def _wider(others: Iterable[str]) -> Any:
    """Records with these fields as well, each under a name that Python can have."""
    names = {f"other_{number}": name for number, name in enumerate(others)}
    fields = [(each, Any, msgspec.UNSET) for each in names]
    bases: Any = (Record,)
    return msgspec.defstruct(
        "_Wider", fields, bases=bases, rename=names, forbid_unknown_fields=True, gc=False
    )


def rests(records: Sequence[Record]) -> list[dict[str, Any] | None]:
    """What each record says beside the sample's fields."""
    found: list[dict[str, Any] | None] = [None] * len(records)
    kinds: set[Any] = set(map(type, records))
    for kind in kinds - {Record}:
        rows = [row for row, record in enumerate(records) if type(record) is kind]
        its = [records[row] for row in rows]
        if kind is _WithRest:
            for row, rest in zip(rows, map(operator.attrgetter("rest"), its), strict=True):
                found[row] = rest
            continue
        # a field at a time: of the fields that others have, most records have few
        others = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        for field, name in itertools.islice(others, len(_FIELDS), None):
            for row, value in zip(rows, map(operator.attrgetter(field), its), strict=True):
                if value is not msgspec.UNSET:
                    found[row] = {**(found[row] or {}), name: value}
    return found


def _read_apart(record: msgspec.Raw) -> Record | Unread:
    try:
        return _decode_record(record)
    except payloads.UNDECODABLE:
        pass  # not as the sample, as far as that goes
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
