"""Decoded JSON, a field of many records at a time, into Arrow columns. Pure.

What is of the usual type for all records is converted at one stretch; where anything else turns
up, that column goes value by value. Nothing that is not text is lost: it is kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from history_pipeline.storage.schemas import ATTRIBUTES

Record = dict[str, Any]

_encode = msgspec.json.Encoder(order="deterministic").encode
_NAME, _VALUE, _VALUE_TYPE = (ATTRIBUTES.value_type.field(n).type for n in range(3))
_NOT_TEXT = (pa.ArrowTypeError, pa.ArrowInvalid)
_USUAL_TYPES = ({dict}, {type(None)}, {dict, type(None)})
_TYPE_NAMES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}


def to_json(value: Any) -> str:
    """Canonical JSON: the same value is the same text in every run."""
    return _encode(value).decode()


def field(records: list[Record], name: str) -> list[Any]:
    """One value a record; a field that is not there is null."""
    try:
        return list(map(itemgetter(name), records))
    except KeyError:
        return [record.get(name) for record in records]


def texts(values: list[Any]) -> pa.StringArray:
    """Values as they are; what is neither text nor null, as JSON."""
    try:
        return pa.array(values, pa.string())
    except _NOT_TEXT:
        is_kept = (str, type(None))
        return pa.array(
            [value if type(value) in is_kept else to_json(value) for value in values], pa.string()
        )


def only_texts(values: list[Any]) -> pa.StringArray:
    """Values that are text; null for all others."""
    try:
        return pa.array(values, pa.string())
    except _NOT_TEXT:
        return pa.array([value if type(value) is str else None for value in values], pa.string())


class Extra:
    """What has no column of its own, by row, under the name of its field."""

    def __init__(self) -> None:
        self._fields: dict[int, Record] = {}

    def add(self, row: int, fields: Record) -> None:
        self._fields.setdefault(row, {}).update(fields)

    def column(self, rows: int) -> pa.StringArray:
        """JSON objects; null where there is nothing."""
        if not self._fields:
            return pa.nulls(rows, pa.string())
        told = [self._fields.get(row) for row in range(rows)]
        return pa.array([None if each is None else to_json(each) for each in told], pa.string())


def objects(records: list[Record], name: str, extra: Extra) -> list[Record]:
    """One object a record, empty where there is none. What is there and no object is extra."""
    values = field(records, name)
    if set(map(type, values)) not in _USUAL_TYPES:
        for row, value in enumerate(values):
            if value is not None and type(value) is not dict:
                extra.add(row, {name: value})
                values[row] = None
    return [value or {} for value in values]


def without(records: list[Record], known: Collection[str]) -> Iterator[tuple[int, Record]]:
    """Which records have fields that are not among the known ones, and those fields."""
    if set(chain.from_iterable(records)).issubset(known):
        return
    for row, record in enumerate(records):
        if unknown := {name: value for name, value in record.items() if name not in known}:
            yield row, unknown


def attributes(named: list[Record]) -> pa.ListArray:
    """ATTRIBUTES of one object a row: its names exactly as they are."""
    ends = np.zeros(len(named) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, named), np.int32, len(named)), out=ends[1:])
    values = list(chain.from_iterable(map(dict.values, named)))
    if set(map(type, values)) <= {str}:
        kinds = pa.repeat(pa.scalar("string"), len(values))
    else:
        kinds = pa.array([_TYPE_NAMES[type(value)] for value in values], pa.string())
        values = [value if type(value) is str else to_json(value) for value in values]
    rows = pa.StructArray.from_arrays(
        [pa.array(chain.from_iterable(named), _NAME), pa.array(values, _VALUE), kinds],
        fields=list(ATTRIBUTES.value_type),
    )
    return pa.ListArray.from_arrays(pa.array(ends), rows, type=ATTRIBUTES)


def spoken_of(named: list[Record], asked: tuple[str, ...]) -> pa.StringArray:
    """The names that each answer speaks of, as a JSON list: those asked for, and those sent
    unasked. Only these are replaced by it."""
    usual, known = to_json(asked), set(asked)
    if known.issuperset(chain.from_iterable(named)):
        return pa.repeat(pa.scalar(usual), len(named))
    return pa.array(
        [
            usual if known.issuperset(names) else to_json(sorted(known.union(names)))
            for names in named
        ],
        pa.string(),
    )


def canonical(payload: str) -> str:
    """The same JSON in one way of writing it; what is none stays as it is."""
    try:
        return json.dumps(json.loads(payload, strict=False), separators=(",", ":"))
    except (ValueError, RecursionError):
        return payload
