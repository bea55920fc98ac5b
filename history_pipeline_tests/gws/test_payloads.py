"""An answer's records, together and apart."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.gws import payloads

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(value if isinstance(value, bytes) else json.dumps(value).encode())


@given(st.lists(JSON, max_size=6))
def test_records_are_the_same_together_and_apart(values: list[Any]) -> None:
    answer = payloads.array([raw(value) for value in values])
    assert msgspec.json.decode(answer) == values
    assert [json.loads(bytes(record)) for record in payloads.records(answer)] == values
    assert payloads.size(answer) == len(bytes(answer))


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        (b'"\\ud83d"', b'"\\ud83d"'),
        (b'{"n": NaN}', b'{"n": NaN}'),
        (b'"\xff"', b'"\xff"'),
        (b'"\\ud83d \xff"', b'"\\ud83d \\udcff"'),
    ],
)
def test_a_record_that_cannot_be_decoded_is_told_apart_from_its_neighbours(
    odd: bytes, kept: bytes
) -> None:
    answer = payloads.array([raw(1), raw(odd), raw([2])])
    with pytest.raises(payloads.UNDECODABLE):
        msgspec.json.decode(answer)
    assert [bytes(record) for record in payloads.records(answer)] == [b"1", kept, b"[2]"]


@pytest.mark.parametrize("broken", [b"[" * 5_000 + b"]" * 5_000, b"[1, 2", b"x"])
def test_what_cannot_be_told_apart_is_one_record(broken: bytes) -> None:
    assert payloads.records(msgspec.Raw(broken)) == [msgspec.Raw(broken)]


def test_no_records() -> None:
    assert payloads.records(payloads.EMPTY) == msgspec.json.decode(payloads.EMPTY) == []
