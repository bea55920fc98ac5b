"""What a reply's bytes mean, and what they may cost."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.bayeux import messages
from history_pipeline.errors import ServerFault


def channels(body: bytes) -> list[str]:
    return [message.channel for message in messages.decode(body)]


def test_every_element_of_a_reply_is_read_in_order() -> None:
    body = b'[{"channel":"/b","data":{"n":1}},{"channel":"/meta/connect"},{"channel":"/a"}]'
    assert channels(body) == ["/b", "/meta/connect", "/a"]


def test_an_empty_reply_holds_no_message() -> None:
    assert messages.decode(b"[]") == []


def test_data_stays_as_it_was_written() -> None:
    body = b'[{"channel":"/a","data":{"big": 1e3, "n":12345678901234567890123}}]'
    assert bytes(messages.decode(body)[0].data) == b'{"big": 1e3, "n":12345678901234567890123}'


def test_an_unknown_field_is_no_fault() -> None:
    body = b'[{"channel":"/meta/connect","successful":true,"timestamp":"now","x":[1]}]'
    assert messages.decode(body)[0].successful is True


@pytest.mark.parametrize("value", ['"7"', "7", "null"])
def test_a_message_id_may_be_text_number_or_null(value: str) -> None:
    body = b'[{"channel":"/meta/connect","id":%s}]' % value.encode()
    assert messages.decode(body)[0].id == json.loads(value)


@pytest.mark.parametrize(
    ("ext", "ack"),
    [
        ({"ack": True}, True),
        ({"ack": 17}, 17),
        ({}, None),
        (None, None),
        ("ack", None),
        (["ack"], None),
    ],
)
def test_the_ack_extension_is_read_from_an_object_only(ext: Any, ack: Any) -> None:
    body = json.dumps([{"channel": "/meta/connect", "ext": ext}]).encode()
    assert messages.decode(body)[0].ack == ack


BROKEN = {
    "nothing": b"",
    "HTML": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "an object": b'{"channel":"/meta/connect"}',
    "null": b"null",
    "text": b'"[]"',
    "cut in an element": b'[{"channel":"/a","data":{"n":1}},{"chan',
    "cut between elements": b'[{"channel":"/a","data":{"n":1}},',
    "cut before the end": b'[{"channel":"/a","data":{"n":1}}',
    "cut in a text": b'[{"channel":"/a","data":"\\ud8',
    "two arrays": b"[][]",
    "bytes that are no text": b"\xff\xfe\x00[",
    "deep beyond reason": b"[" * 200_000,
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_array_of_messages_is_the_servers_fault(body: bytes) -> None:
    with pytest.raises(ServerFault):
        messages.decode(body)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_server_fault(body: bytes) -> None:
    with contextlib.suppress(ServerFault):
        messages.decode(body)


@given(st.integers(min_value=0, max_value=200))
def test_no_cut_of_a_reply_is_read_as_a_shorter_reply(length: int) -> None:
    body = json.dumps(
        [{"channel": "/v2/ucs/interactions", "data": {"n": n}} for n in range(4)]
    ).encode()
    if length < len(body):
        with pytest.raises(ServerFault):
            messages.decode(body[:length])


def test_a_lone_surrogate_costs_no_message_beside_it() -> None:
    body = (
        b'[{"channel":"/a","data":{"n":1}},'
        b'{"channel":"/a","data":{"subject":"cut \\ud83d"}},'
        b'{"channel":"/meta/connect","successful":true,"clientId":"c","ext":{"ack":4}}]'
    )
    first, second, connect = messages.decode(body)
    assert json.loads(bytes(first.data)) == {"n": 1}
    assert json.loads(bytes(second.data)) == {"subject": "cut \ud83d"}
    assert (connect.client_id, connect.successful, connect.ack) == ("c", True, 4)


def test_bytes_that_are_no_utf8_in_one_text_cost_no_message_beside_it() -> None:
    body = b'[{"channel":"/a","data":{"s":"\xff"}},{"channel":"/b","data":{"n":1}}]'
    assert channels(body) == ["/a", "/b"]


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_json_does_not_have_costs_no_message_beside_it(number: bytes) -> None:
    body = b'[{"channel":"/a","data":{"n":%s}},{"channel":"/b","data":{}}]' % number
    assert channels(body) == ["/a", "/b"]


@pytest.mark.parametrize("character", [b"\t", b"\n", b"\x01"])
def test_a_raw_control_character_in_a_text_costs_no_message_beside_it(character: bytes) -> None:
    body = b'[{"channel":"/a","data":{"s":"x%sy"}},{"channel":"/b","data":{}}]' % character
    assert channels(body) == ["/a", "/b"]


ODD_ELEMENTS = {
    "null": b"null",
    "no channel": b'{"id":"1","successful":true}',
    "a channel that is no text": b'{"channel":7}',
    "advice that is text": b'{"channel":"/meta/connect","advice":"retry"}',
    "an interval that is text": b'{"channel":"/meta/connect","advice":{"interval":"0"}}',
    "an id with a fraction": b'{"channel":"/meta/connect","id":1.5}',
    "success as text": b'{"channel":"/meta/connect","successful":"true"}',
    "an error that is no text": b'{"channel":"/meta/connect","error":402}',
    "half a surrogate in an error": b'{"channel":"/meta/connect","error":"402::\\ud83d"}',
}


@pytest.mark.parametrize("odd", ODD_ELEMENTS.values(), ids=ODD_ELEMENTS.keys())
def test_an_odd_element_costs_no_message_beside_it(odd: bytes) -> None:
    read = channels(b'[{"channel":"/a","data":{"n":1}},%s,{"channel":"/b","data":{}}]' % odd)
    assert [channel for channel in read if not channel.startswith("/meta/")] == ["/a", "/b"]


def test_a_request_carries_one_message() -> None:
    assert msgspec.json.decode(messages.encode({"channel": "/meta/connect", "id": "1"})) == [
        {"channel": "/meta/connect", "id": "1"}
    ]
