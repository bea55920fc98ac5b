"""Decoded JSON, a field of many records at a time, into Arrow columns. Pure.

What is of the usual type for all records is converted at one stretch; where anything else turns
up, that column goes value by value. Nothing that is not text is lost: it is kept as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from history_pipeline.storage.schemas import ATTRIBUTES

Object = dict[str, Any]

_encode = msgspec.json.Encoder(order="deterministic").encode
_NAME, _VALUE, _VALUE_TYPE = (ATTRIBUTES.value_type.field(n).type for n in range(3))
_NOT_TEXT = (pa.ArrowTypeError, pa.ArrowInvalid)
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


def texts(values: Sequence[Any]) -> pa.StringArray:
    """Values as they are; what is neither text nor null, as JSON."""
    try:
        return pa.array(values, pa.string())
    except _NOT_TEXT:
        is_kept = (str, type(None))
        return pa.array(
            [value if type(value) in is_kept else to_json(value) for value in values], pa.string()
        )


def only_texts(values: Sequence[Any]) -> pa.StringArray:
    """Values that are text; null for all others."""
    try:
        return pa.array(values, pa.string())
    except _NOT_TEXT:
        return pa.array([value if type(value) is str else None for value in values], pa.string())


def objects(values: Sequence[Object | None]) -> pa.StringArray:
    """Objects as JSON; null where there is none."""
    if not any(values):
        return pa.nulls(len(values), pa.string())
    return pa.array([to_json(value) if value else None for value in values], pa.string())


def attributes(named: Sequence[Object]) -> pa.ListArray:
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


def spoken_of(named: Sequence[Object], asked: tuple[str, ...]) -> pa.StringArray:
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
