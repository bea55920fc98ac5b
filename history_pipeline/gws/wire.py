"""The server's JSON, both ways. Pure.

Knows request bodies, the envelope (`statusCode`, `referenceId`) and notifications. Does not
know connections, time, or who asked. Sources: the API guide's pages RetrieveContactHistory,
RetrieveInteractionHistory, ReturnValues, CSRFProtection and CHMessageType.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import msgspec

from history_pipeline.errors import (
    AnswerFailed,
    ContactUnknown,
    Overloaded,
    RequestRefused,
    ServerFault,
    SessionLost,
    Throttled,
)
from history_pipeline.gws import payloads
from history_pipeline.gws.payloads import UNDECODABLE
from history_pipeline.model import Source, Window

ME_PATH = "/api/v2/me"
FEATURES_PATH = "/api/v2/features"
INTERACTIONS_PATH = "/api/v2/ucs/interactions"
HISTORY_MESSAGE = "GetInteractionsHistoryMessage"

_INTERNAL_ERROR = 4
_TRANSIENT_CODES = frozenset({9, 12})
_NOT_AUTHENTICATED = 20
_RESOURCE_NOT_FOUND = 6


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply, whole. Headers are looked up by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_html(self) -> bool:
        return "html" in self.headers.get("content-type", "") or self.body[:64].lstrip().startswith(
            b"<"
        )


@dataclass(frozen=True, slots=True)
class Filter:
    """What every history request of a run has in common."""

    overlap_days: int = 1
    media_type: str | None = None
    attributes: tuple[str, ...] = ()
    search: tuple[tuple[str, str], ...] = ()
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """An answer to some history request; `records` is JSON, an array of interactions."""

    reference_id: str
    failed: bool
    records: msgspec.Raw


class _Envelope(msgspec.Struct):
    status_code: int | None = msgspec.field(default=None, name="statusCode")
    reference_id: int | str | None = msgspec.field(default=None, name="referenceId")


class _Data(msgspec.Struct):
    reference_id: int | str | None = msgspec.field(default=None, name="referenceId")
    message_type: Any = msgspec.field(default=None, name="messageType")
    error_message: Any = msgspec.field(default=None, name="errorMessage")
    interactions: msgspec.Raw = msgspec.Raw(b"null")
    interaction: msgspec.Raw = msgspec.Raw(b"null")


_envelopes = msgspec.json.Decoder(_Envelope)
_data = msgspec.json.Decoder(_Data)
_encoder = msgspec.json.Encoder()


# -- questions ------------------------------------------------------------------------------------


def history_path(contact_id: str) -> str:
    # dots are left alone by `quote`, and a path of dots would climb to another operation
    name = quote(contact_id, safe="").replace(".", "%2E")
    return f"/api/v2/ucs/contacts/{name}/interactions"


def history_body(window: Window, source: Source, criteria: Filter) -> bytes:
    """RetrieveContactHistory for the window and `overlap_days` more on both sides.

    The last day asked for is `window.end` at an overlap of one, so a server that leaves
    `toDate` out still returns the whole window.
    """
    body: dict[str, Any] = {
        "operationName": "RetrieveContactHistory",
        **_common(window, source, criteria),
    }
    return _encoder.encode(body)


def activity_body(
    window: Window,
    source: Source,
    overlap_days: int,
    max_size: int,
    media_type: str | None,
    sort: str = "asc",
) -> bytes:
    """RetrieveInteractionHistory: all contacts' interactions, `max_size` of them at most: the
    first ones where `sort` is `asc`, the last ones where it is `desc`."""
    body: dict[str, Any] = {
        "operationName": "RetrieveInteractionHistory",
        **_common(window, source, Filter(overlap_days, media_type)),
        "sort": sort,
        "maxSize": max_size,
    }
    return _encoder.encode(body)


def probe_body(
    first: date,
    last: date,
    source: Source,
    *,
    ascending: bool,
    max_size: int | None = None,
) -> bytes:
    """Just these days, in this order: RetrieveContactHistory, or RetrieveInteractionHistory with a
    `max_size`."""
    body: dict[str, Any] = {
        "operationName": "RetrieveContactHistory",
        "fromDate": first.isoformat(),
        "toDate": last.isoformat(),
        "sort": "asc" if ascending else "desc",
        "source": source.value,
    }
    if max_size is not None:
        body |= {"operationName": "RetrieveInteractionHistory", "maxSize": max_size}
    return _encoder.encode(body)


def _common(window: Window, source: Source, criteria: Filter) -> dict[str, Any]:
    overlap = timedelta(days=criteria.overlap_days)
    body: dict[str, Any] = {
        "fromDate": (window.start - overlap).isoformat(),
        "toDate": (window.last + overlap).isoformat(),
        "sort": "desc" if criteria.is_descending else "asc",
        "source": source.value,
    }
    if criteria.media_type:
        body["mediaType"] = criteria.media_type
    if criteria.attributes:
        body["customAttributes"] = list(criteria.attributes)
    if criteria.search:
        body["searchCustomAttributes"] = dict(criteria.search)
    return body


# -- replies --------------------------------------------------------------------------------------


def reference_id(reply: Reply) -> str:
    """The reference id of an accepted request, as text.

    An HTTP 200 with `statusCode` 0 means accepted and no more. Raises Throttled, SessionLost,
    ContactUnknown, RequestRefused or ServerFault for whatever else came.
    """
    envelope = read_envelope(reply)
    if envelope.reference_id is None:
        raise ServerFault("accepted without a reference id")
    return str(envelope.reference_id)


def read_envelope(reply: Reply) -> _Envelope:
    """The envelope of a successful reply; raises as `reference_id` does.

    429 and 503 decide before the body; after that a `statusCode` says more than the HTTP
    status, and comes with either.
    """
    if reply.status in (429, 503):
        raise Throttled(reply.status, retry_after(reply.headers))
    if reply.status in (401, 403):
        raise SessionLost(f"HTTP {reply.status}")
    if 300 <= reply.status < 400:
        raise SessionLost(f"HTTP {reply.status}: redirected, as to a login page")
    envelope = _parse(reply)
    code = envelope.status_code if envelope else None
    if code is not None and code != 0:
        raise _refusal(code, reply.status)
    if reply.status == 404:
        raise ContactUnknown("HTTP 404")
    if reply.status >= 500:
        raise ServerFault(f"HTTP {reply.status}")
    if reply.status >= 400:
        raise RequestRefused(f"HTTP {reply.status}")
    if envelope is None or code is None:
        if reply.is_html:
            raise SessionLost("an HTML page in place of JSON, as of a login page")
        raise ServerFault("the reply is no JSON with a statusCode")
    return envelope


def _parse(reply: Reply) -> _Envelope | None:
    try:
        return _envelopes.decode(reply.body)
    except UNDECODABLE:
        return None


def _refusal(code: int, status: int) -> Exception:
    text = f"status code {code} (HTTP {status})"
    if code == _NOT_AUTHENTICATED:
        return SessionLost(text)
    if code == _RESOURCE_NOT_FOUND:
        return ContactUnknown(text)
    if code == _INTERNAL_ERROR:
        return Overloaded(text)
    if code in _TRANSIENT_CODES:
        return ServerFault(text)
    return RequestRefused(text)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to hold back, from either form of the header; None where it says nothing. A date is
    the server's, so it is counted from the `Date` of the reply: our own clock may be wrong."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = _moment(value)
    if until is None:
        return None
    since = _moment(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (until - since).total_seconds())


def _moment(http_date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


# -- notifications --------------------------------------------------------------------------------


def notification(data: msgspec.Raw) -> Notification | None:
    """The history answer in a channel message, or None for any other message.

    Other operations' messages carry reference ids too, and settle nothing. Only with the right
    message type and without `errorMessage` do missing or null interactions mean none.
    """
    try:
        message = _data.decode(data)
    except UNDECODABLE:
        return _read_leniently(data)
    return _history(
        message.reference_id, message.message_type, message.error_message, _records(message)
    )


def _history(
    reference_id: Any, message_type: Any, error_message: Any, records: msgspec.Raw
) -> Notification | None:
    if message_type != HISTORY_MESSAGE or not isinstance(reference_id, int | str):
        return None
    if error_message is not None:
        return Notification(str(reference_id), failed=True, records=payloads.EMPTY)
    return Notification(str(reference_id), failed=False, records=records)


def _records(message: _Data) -> msgspec.Raw:
    payload = message.interaction if _is_null(message.interactions) else message.interactions
    if _is_null(payload):
        return payloads.EMPTY
    if bytes(memoryview(payload)[:1]) == b"[":
        return payload
    # one record where a list should be: it is read, or set aside, like any other
    return payloads.array([payload])


def _read_leniently(data: msgspec.Raw) -> Notification | None:
    """One text with half a surrogate pair makes the strict decoder refuse the whole message; it
    must cost its own record and no other."""
    try:
        message = json.loads(bytes(data), strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    told = message.get("interactions")
    told = message.get("interaction") if told is None else told
    elements = [] if told is None else told if isinstance(told, list) else [told]
    return _history(
        message.get("referenceId"),
        message.get("messageType"),
        message.get("errorMessage"),
        msgspec.Raw(json.dumps(elements).encode()),
    )


def _is_null(value: msgspec.Raw) -> bool:
    return bytes(memoryview(value)[:4]) == b"null"


def answer_failed() -> AnswerFailed:
    """The wording of `errorMessage` is free text, decides nothing, and is not repeated."""
    return AnswerFailed("the notification carries an errorMessage")
