"""The server's JSON, both ways: what each reply and each notification means."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from history_pipeline.errors import (
    AttemptSpent,
    ContactUnknown,
    Interrupted,
    Overloaded,
    RequestRefused,
    ServerFault,
    SessionLost,
    Throttled,
)
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.wire import Filter, Reply
from history_pipeline.model import Source, Window

ACCEPTED = b'{"statusCode":0,"referenceId":42}'
WINDOW = Window(date(2024, 1, 1), date(2024, 1, 8))


def reply(status: int, body: bytes | dict[str, Any] = b"", **headers: str) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): text for name, text in headers.items()}, content)


# -- questions ------------------------------------------------------------------------------------


def test_a_history_question_names_everything_and_leaves_nothing_to_defaults() -> None:
    criteria = Filter(1, "chat", ("Order, No", "ß"), (("SearchId", '"1"'),))
    assert json.loads(wire.history_body(WINDOW, Source.ARCHIVE, criteria)) == {
        "operationName": "RetrieveContactHistory",
        "fromDate": "2023-12-31",
        "toDate": "2024-01-08",
        "sort": "asc",
        "source": "archive",
        "mediaType": "chat",
        "customAttributes": ["Order, No", "ß"],
        "searchCustomAttributes": {"SearchId": '"1"'},
    }


def test_a_question_can_want_the_latest_first() -> None:
    body = wire.history_body(WINDOW, Source.MAIN, Filter(is_descending=True))
    assert json.loads(body)["sort"] == "desc"


@pytest.mark.parametrize(
    ("overlap", "first", "last"),
    [
        (0, "2024-01-01", "2024-01-07"),
        (1, "2023-12-31", "2024-01-08"),
        (3, "2023-12-29", "2024-01-10"),
    ],
)
def test_the_overlap_is_asked_on_both_sides(overlap: int, first: str, last: str) -> None:
    body = json.loads(wire.history_body(WINDOW, Source.MAIN, Filter(overlap)))
    assert (body["fromDate"], body["toDate"]) == (first, last)
    assert "mediaType" not in body
    assert "customAttributes" not in body


@pytest.mark.parametrize("contact_id", ["a/b", "a b", "..", "?x=1", "#", "ä", "%2F", "a;b", "a\nb"])
def test_a_contact_id_cannot_leave_its_place_in_the_path(contact_id: str) -> None:
    path = wire.history_path(contact_id)
    inner = path.removeprefix("/api/v2/ucs/contacts/").removesuffix("/interactions")
    assert not set(inner) & set("/ ?#;\n")


@pytest.mark.parametrize("contact_id", [".", ".."])
def test_a_contact_id_of_dots_does_not_climb(contact_id: str) -> None:
    assert f"/{contact_id}/" not in wire.history_path(contact_id)


def test_the_activity_question_names_its_size() -> None:
    body = json.loads(wire.activity_body(WINDOW, Source.MAIN, 1, 1000, None))
    assert body["operationName"] == "RetrieveInteractionHistory"
    assert body["maxSize"] == 1000
    assert body["sort"] == "asc"


def test_the_activity_question_can_ask_for_the_last_ones() -> None:
    body = json.loads(wire.activity_body(WINDOW, Source.MAIN, 0, 1000, "chat", "desc"))
    assert (body["sort"], body["mediaType"]) == ("desc", "chat")
    assert (body["fromDate"], body["toDate"]) == (str(WINDOW.start), str(WINDOW.last))


# -- replies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"statusCode":0,"referenceId":42}', "42"),
        (b'{"statusCode":0,"referenceId":"42"}', "42"),
        (b'{"statusCode":0,"referenceId":"a-1"}', "a-1"),
        (b'{"statusCode":0,"referenceId":0}', "0"),
        (b'{"statusCode":0,"referenceId":-1}', "-1"),
        (b' {"x":{"referenceId":7},"referenceId":98765432109876543210,"statusCode":0}',
         "98765432109876543210"),
    ],
)  # fmt: skip
def test_a_reference_id_is_text_whatever_it_was(body: bytes, expected: str) -> None:
    assert wire.reference_id(reply(200, body)) == expected


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_status_may_accept(status: int) -> None:
    assert wire.reference_id(reply(status, ACCEPTED)) == "42"


VERDICTS: list[tuple[str, Reply, type[Exception]]] = [
    # statusCode, with either HTTP status
    *(
        (f"code {code} with HTTP {status}", reply(status, {"statusCode": code}), kind)
        for status in (200, 400, 404, 500, 502)
        for code, kind in [
            (1, RequestRefused),
            (2, RequestRefused),
            (3, RequestRefused),
            (4, Overloaded),
            (5, RequestRefused),
            (6, ContactUnknown),
            (7, RequestRefused),
            (8, RequestRefused),
            (9, ServerFault),
            (10, RequestRefused),
            (11, RequestRefused),
            (12, ServerFault),
            (13, RequestRefused),
            (19, RequestRefused),
            (20, SessionLost),
            (21, RequestRefused),
            (-1, RequestRefused),
        ]
    ),
    # the HTTP status where the body says nothing, or says that all is well
    *(
        (f"HTTP {status} with {body[:14]!r}", reply(status, body), kind)
        for body in (b"", b"null", b"{}", b"<html>", b'{"statusCode":0,"referenceId":1}', b'{"st')
        for status, kind in [
            (301, SessionLost),
            (302, SessionLost),
            (307, SessionLost),
            (400, RequestRefused),
            (401, SessionLost),
            (403, SessionLost),
            (404, ContactUnknown),
            (405, RequestRefused),
            (413, RequestRefused),
            (429, Throttled),
            (500, ServerFault),
            (502, ServerFault),
            (503, Throttled),
            (504, ServerFault),
        ]
    ),
    # 429, 503, 401 and 403 decide before the body
    ("429 over code 6", reply(429, {"statusCode": 6}), Throttled),
    ("503 over code 4", reply(503, {"statusCode": 4}), Throttled),
    ("503 over code 0", reply(503, ACCEPTED), Throttled),
    ("403 over code 3", reply(403, {"statusCode": 3}), SessionLost),
    ("403 as text", reply(403, b"Missing or invalid Csrf token"), SessionLost),
    # a success status that accepts nothing
    ("HTML", reply(200, b"<!DOCTYPE html><title>Log in"), SessionLost),
    ("HTML by its type", reply(200, b"Log in", content_type="text/html;charset=utf-8"), SessionLost),
    ("HTML after blanks", reply(200, b"\r\n\t <html>"), SessionLost),
    ("nothing", reply(200), ServerFault),
    ("204", reply(204), ServerFault),
    ("no JSON", reply(200, b"OK"), ServerFault),
    ("cut", reply(200, b'{"statusCode":0,"referenceId":4'), ServerFault),
    ("cut after the id", reply(200, b'{"statusCode":0,"referenceId":42'), ServerFault),
    ("two objects", reply(200, ACCEPTED + ACCEPTED), ServerFault),
    ("an array", reply(200, b"[" + ACCEPTED + b"]"), ServerFault),
    ("no status code", reply(200, b'{"referenceId":42}'), ServerFault),
    ("status code null", reply(200, b'{"statusCode":null,"referenceId":42}'), ServerFault),
    ("status code as text", reply(200, b'{"statusCode":"0","referenceId":42}'), ServerFault),
    ("no reference id", reply(200, b'{"statusCode":0}'), ServerFault),
    ("reference id null", reply(200, b'{"statusCode":0,"referenceId":null}'), ServerFault),
    ("reference id an object", reply(200, b'{"statusCode":0,"referenceId":{}}'), ServerFault),
    ("deep", reply(200, b"[" * 100_000), ServerFault),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "kind"), [case[1:] for case in VERDICTS], ids=[case[0] for case in VERDICTS]
)
def test_what_is_not_accepted_is_refused_by_kind(answer: Reply, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        wire.reference_id(answer)
    assert type(caught.value) is kind


@given(st.integers(200, 599), st.binary(max_size=40))
def test_any_reply_at_all_is_an_acceptance_or_an_error_of_ours(status: int, body: bytes) -> None:
    with contextlib.suppress(AttemptSpent, Interrupted, RequestRefused, ContactUnknown):
        wire.reference_id(reply(status, body))


def test_errors_repeat_nothing_of_the_body() -> None:
    for status in (200, 400, 403, 404, 500, 503):
        with pytest.raises(Exception, match="HTTP|status code") as caught:
            wire.reference_id(reply(status, {"statusCode": 1, "statusMessage": "customer's words"}))
        assert "words" not in str(caught.value)


# -- Retry-After ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("0", 0.0), ("7", 7.0), (" 120 ", 120.0), ("", None), ("soon", None),
     ("-5", None), ("1.5", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_in_seconds_or_nothing(value: str | None, seconds: float | None) -> None:
    assert wire.retry_after(headers(value)) == seconds


def headers(value: str | None) -> dict[str, str]:
    return {} if value is None else {"retry-after": value}


def test_a_date_is_counted_from_the_servers_own_clock() -> None:
    told = {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert wire.retry_after(told) == 30.0


@pytest.mark.parametrize("zone", [UTC, None])
def test_retry_after_may_be_a_date(zone: Any) -> None:
    until = datetime.now(UTC) + timedelta(seconds=90)
    text = format_datetime(until.replace(tzinfo=zone), usegmt=zone is UTC)
    seconds = wire.retry_after({"retry-after": text})
    assert seconds is not None
    assert 60 < seconds <= 90


def test_the_length_of_the_rest_travels_with_the_error() -> None:
    with pytest.raises(Throttled) as caught:
        wire.reference_id(reply(429, retry_after="17"))
    assert (caught.value.status, caught.value.retry_after) == (429, 17.0)


def test_digits_that_are_no_number_say_nothing() -> None:
    assert wire.retry_after({"retry-after": "²"}) is None


@given(st.text(max_size=30).filter(lambda text: text.strip().isdecimal() or not text.isdigit()))
def test_no_other_text_in_retry_after_raises(value: str) -> None:
    assert (wire.retry_after({"retry-after": value}) or 0.0) >= 0.0


# -- notifications --------------------------------------------------------------------------------


def notified(**fields: Any) -> wire.Notification | None:
    message = {"referenceId": 7, "messageType": "GetInteractionsHistoryMessage"} | fields
    return wire.notification(msgspec.Raw(json.dumps(message).encode()))


def records(notification: wire.Notification | None) -> list[Any]:
    assert notification is not None
    assert not notification.failed
    return [json.loads(bytes(record)) for record in payloads.records(notification.records)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"interactions": None}, []),
        ({"interactions": []}, []),
        ({"interaction": None}, []),
        ({"interaction": []}, []),
        ({"interactions": [{"id": "a"}, None, 3]}, [{"id": "a"}, None, 3]),
        ({"interaction": [{"id": "a"}]}, [{"id": "a"}]),
        ({"interaction": {"id": "a"}}, [{"id": "a"}]),
        ({"interactions": {"id": "a"}}, [{"id": "a"}]),
        ({"interactions": None, "interaction": [{"id": "a"}]}, [{"id": "a"}]),
        ({"interactions": [{"id": "a"}], "interaction": None}, [{"id": "a"}]),
        ({"interactions": "oops"}, ["oops"]),
        ({"interactions": False}, [False]),
        ({"interactions": 0}, [0]),
        ({"interactions": ""}, [""]),
        ({"interactions": {}}, [{}]),
        ({"interactions": [], "errorMessage": None}, []),
    ],
)
def test_only_missing_or_null_interactions_mean_none(
    fields: dict[str, Any], expected: list[Any]
) -> None:
    assert records(notified(**fields)) == expected


@pytest.mark.parametrize("error", ["UCS request failed", "", {"code": 1}, 5, False, []])
@pytest.mark.parametrize("fields", [{}, {"interactions": []}, {"interactions": [{"id": "a"}]}])
def test_with_an_error_message_it_is_no_answer(error: Any, fields: dict[str, Any]) -> None:
    notification = notified(errorMessage=error, **fields)
    assert notification is not None
    assert notification.failed
    assert payloads.records(notification.records) == []


@pytest.mark.parametrize(
    "message_type",
    [None, "", "GetInteractionContentMessage", "getinteractionshistorymessage", 1, [], {},
     "GetInteractionsHistoryMessage "],
)  # fmt: skip
@pytest.mark.parametrize("fields", [{}, {"interactions": [{"id": "a"}]}, {"errorMessage": "no"}])
def test_another_operations_message_is_nothing(message_type: Any, fields: dict[str, Any]) -> None:
    assert notified(messageType=message_type, **fields) is None


def test_a_message_without_its_type_is_nothing() -> None:
    assert wire.notification(msgspec.Raw(b'{"referenceId":7,"interactions":[]}')) is None


@pytest.mark.parametrize("reference_id", [None, {}, [], 7.5])
def test_a_message_without_a_usable_reference_id_is_nothing(reference_id: Any) -> None:
    assert notified(referenceId=reference_id) is None


@pytest.mark.parametrize(("sent", "read"), [(7, "7"), ("7", "7"), ("007", "007"), (0, "0")])
def test_a_reference_id_is_compared_as_text(sent: Any, read: str) -> None:
    notification = notified(referenceId=sent)
    assert notification is not None
    assert notification.reference_id == read


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b'"x"', b"1", b'{"referenceId":7,', b"{}", b"[" * 100_000, b"\xff"],
)
def test_data_of_any_other_shape_is_nothing(data: bytes) -> None:
    assert wire.notification(msgspec.Raw(data)) is None


@pytest.mark.parametrize("max_size", [None, 100])
@pytest.mark.parametrize("ascending", [True, False])
def test_a_probe_asks_for_just_these_days(ascending: bool, max_size: int | None) -> None:
    first, last = date(2026, 3, 1), date(2026, 3, 2)
    body = wire.probe_body(first, last, Source.ARCHIVE, ascending=ascending, max_size=max_size)
    of_all = {"operationName": "RetrieveInteractionHistory", "maxSize": max_size}
    assert json.loads(body) == {
        "operationName": "RetrieveContactHistory",
        "fromDate": "2026-03-01",
        "toDate": "2026-03-02",
        "sort": "asc" if ascending else "desc",
        "source": "archive",
        **({} if max_size is None else of_all),
    }


def test_blanks_between_the_parts_change_nothing() -> None:
    data = b"""{ "referenceId" : 7 , "messageType" : "GetInteractionsHistoryMessage" ,
        "interactions" :
            [ {"id" : "a"} , null ] }"""
    assert records(wire.notification(msgspec.Raw(data))) == [{"id": "a"}, None]
    empty = data.replace(b'[ {"id" : "a"} , null ]', b"  null ")
    assert records(wire.notification(msgspec.Raw(empty))) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=5))
def test_every_element_of_an_answer_is_handed_on_in_order(elements: list[Any]) -> None:
    assert records(notified(interactions=elements)) == elements


@given(st.dictionaries(
    st.sampled_from(["referenceId", "messageType", "errorMessage", "interactions", "interaction"]),
    JSON,
))  # fmt: skip
def test_no_notification_raises(fields: dict[str, Any]) -> None:
    wire.notification(msgspec.Raw(json.dumps(fields).encode()))
