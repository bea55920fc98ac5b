"""Records of an answer into columns; what cannot be read is set aside. Pure.

Knows the fields of the API's sample and the windows' edges. Does not know files, requests in
flight or which copy of an interaction wins.

A record is set aside when it is no object, has no usable id, or no readable start. Everything
else lands: a field of another type than the sample's is kept as JSON text, a field that the
sample does not have goes to `extra`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from history_pipeline.history.instants import LocalDays, UnreadableTime, day_number, micros
from history_pipeline.model import HistoryRequest, Source
from history_pipeline.storage.schemas import (
    INTERACTION_COLUMNS,
    MOMENT,
    OBSERVATIONS,
    REJECTS,
)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="deterministic").encode

_OWNER_FIELDS = ("id", "userName", "firstName", "lastName")
_KNOWN = frozenset(
    {
        "id",
        "contactId",
        "mediaType",
        "typeId",
        "state",
        "subject",
        "uri",
        "startDate",
        "endDate",
        "ownerInformation",
        "customAttributes",
    }
)
_TYPE_NAMES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}
_ZONE_SAMPLE = 256
_ATTRIBUTES = [name for name, _ in INTERACTION_COLUMNS].index("attributes")


class Observations:
    """Rows of one part, and the records set aside beside them."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.rejects: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def table(self, *, run_at: int, asked: tuple[str, ...]) -> pa.Table:
        """All rows as OBSERVATIONS; `run_at` in microseconds, `asked` as named in the requests."""
        arrays = _transpose(self.rows, INTERACTION_COLUMNS)
        rows = len(self)
        arrays |= {
            "run_at": pa.repeat(pa.scalar(run_at, MOMENT), rows),
            "asked": self._spoken_of(asked),
            "is_own": pc.fill_null(
                pc.equal(arrays["contact_id"], arrays["requested_contact_id"]), False
            ),
            "seen_in_main": pc.equal(arrays["source"], Source.MAIN.value),
            "seen_in_archive": pc.equal(arrays["source"], Source.ARCHIVE.value),
            "first_seen_at": arrays["observed_at"],
            "last_seen_at": arrays["observed_at"],
            "contact_seen_at": arrays["observed_at"],
            "unchanged_since": arrays["observed_at"],
            "superseded_at": pa.nulls(rows, MOMENT),
        }
        return pa.table([arrays[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)

    def _spoken_of(self, asked: tuple[str, ...]) -> pa.Array:
        """The names that each answer speaks of: those asked for, and those sent unasked. Only
        these are replaced by it."""
        usual, known = _json(asked), set(asked)
        return pa.array(
            [
                usual if known.issuperset(names) else _json(sorted(known.union(names)))
                for names in ([item["name"] for item in row[_ATTRIBUTES]] for row in self.rows)
            ],
            pa.string(),
        )

    def reject_table(self) -> pa.Table:
        columns = [(column.name, column.type) for column in REJECTS]
        arrays = _transpose(self.rejects, columns)
        return pa.table([arrays[name] for name in REJECTS.names], schema=REJECTS)


def _transpose(
    rows: list[tuple[Any, ...]], columns: list[tuple[str, pa.DataType]]
) -> dict[str, pa.Array]:
    values: Any = zip(*rows, strict=True) if rows else [[] for _ in columns]
    return {
        name: pa.array(column, kind) for (name, kind), column in zip(columns, values, strict=True)
    }


class Flattener:
    """Reads records into Observations. One per run: it remembers the offsets it met. Records of
    contacts in `forgotten` leave no trace."""

    def __init__(self, zone: ZoneInfo, forgotten: Container[Any] = ()) -> None:
        self._days = LocalDays(zone)
        self._forgotten = forgotten
        self.read = 0
        """Records with a readable start, those of other windows included."""
        self.odd_offsets = 0
        self.offset_sample: dict[tuple[int, int], None] = {}

    def add(
        self,
        request: HistoryRequest,
        records: list[msgspec.Raw],
        observed_at: int,
        into: Observations,
    ) -> tuple[int, int]:
        """Flattens one answer's records (or a slice of them); `observed_at` in microseconds.

        Returns how many landed and how many were set aside. Records whose local day lies outside
        the window are cut off: they belong to another window's answer.
        """
        landed = rejected = 0
        first, end = day_number(request.window.start), day_number(request.window.end)
        for record in records:
            try:
                item = _read(record)
                if self._forgotten and item.get("contactId") in self._forgotten:
                    continue
                started, offset = _start(item)
                day = self._days.day(started)
                self._note_offset(started, offset)
                if not first <= day < end:
                    continue
                into.rows.append(_row(item, request, started, day, observed_at))
            except UnreadableRecord as exc:
                into.rejects.append(_set_aside(request, record, exc.reason, observed_at))
                rejected += 1
            else:
                landed += 1
        return landed, rejected

    def _note_offset(self, started: int, offset: int) -> None:
        self.read += 1
        if offset != self._days.offset(started):
            self.odd_offsets += 1
        if len(self.offset_sample) < _ZONE_SAMPLE:
            self.offset_sample[(started // 3_600_000_000 * 3600, offset)] = None


class UnreadableRecord(ValueError):
    """A record to set aside; `reason` is a word for the ledger."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def reject_id(contact_id: str, source: Source, payload: str) -> str:
    """The same record set aside again, by whichever run or window, is the same reject. So the
    payload counts by what it says: where a neighbour in the same reply cannot be decoded, it
    comes written anew, with other blanks and escapes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (contact_id, source.value, _canonical(payload)):
        encoded = part.encode("utf-8", errors="surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def _canonical(payload: str) -> str:
    try:
        return json.dumps(json.loads(payload, strict=False), separators=(",", ":"))
    except (ValueError, RecursionError):
        return payload


def _read(record: msgspec.Raw) -> dict[str, Any]:
    try:
        item = _decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UnreadableRecord("not_readable_json") from None
    if type(item) is not dict:
        raise UnreadableRecord("not_an_object")
    return item


def _row(
    item: dict[str, Any], request: HistoryRequest, started: int, day: int, observed_at: int
) -> tuple[Any, ...]:
    """One observation, in the order of INTERACTION_COLUMNS."""
    interaction_id = item.get("id")
    if type(interaction_id) is not str or not interaction_id.strip():
        raise UnreadableRecord("no_usable_id")
    owner, attributes, extra = _nested(item)
    end_text = item.get("endDate")
    return (
        interaction_id,
        _text(item.get("contactId")),
        request.contact_id,
        _text(item.get("mediaType")),
        _text(item.get("typeId")),
        _text(item.get("state")),
        _text(item.get("subject")),
        _text(item.get("uri")),
        started,
        _end(end_text),
        item["startDate"],
        _text(end_text),
        _text(owner.get("id")),
        _text(owner.get("userName")),
        _text(owner.get("firstName")),
        _text(owner.get("lastName")),
        request.source.value,
        _json(extra) if extra else None,
        day,
        attributes,
        observed_at,
    )


def _start(item: dict[str, Any]) -> tuple[int, int]:
    try:
        return micros(item.get("startDate"))
    except UnreadableTime as exc:
        raise UnreadableRecord(f"start_{exc.reason}") from None


def _end(text: Any) -> int | None:
    """An end that cannot be read leaves the interaction open; its text is kept beside it."""
    if text is None:
        return None
    try:
        return micros(text)[0]
    except UnreadableTime:
        return None


def _nested(
    item: dict[str, Any],
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """Owner, custom attributes, and what has no column of its own."""
    extra = {} if item.keys() <= _KNOWN else {k: v for k, v in item.items() if k not in _KNOWN}
    owner = item.get("ownerInformation")
    if type(owner) is not dict:
        if owner is not None:
            extra["ownerInformation"] = owner
        owner = {}
    elif not owner.keys() <= set(_OWNER_FIELDS):
        extra["ownerInformation"] = {k: v for k, v in owner.items() if k not in _OWNER_FIELDS}
    named = item.get("customAttributes")
    if type(named) is not dict:
        if named is not None:
            extra["customAttributes"] = named
        return owner, [], extra
    attributes = [
        {
            "name": name,
            "value": value if type(value) is str else _json(value),
            "value_type": _TYPE_NAMES[type(value)],
        }
        for name, value in named.items()
    ]
    return owner, attributes, extra


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    return _json(value)


def _json(value: Any) -> str:
    """Canonical JSON: the same value is the same text in every run."""
    return _encode(value).decode()


def _set_aside(
    request: HistoryRequest, record: msgspec.Raw, reason: str, observed_at: int
) -> tuple[Any, ...]:
    """One reject, in the order of REJECTS."""
    payload = bytes(record).decode("utf-8", errors="backslashreplace")
    return (
        reject_id(request.contact_id, request.source, payload),
        reason,
        request.contact_id,
        request.window.start,
        request.source.value,
        payload,
        observed_at,
    )
