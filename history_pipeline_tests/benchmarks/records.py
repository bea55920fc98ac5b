"""Records flattened as one would by hand: a dictionary each, a list of its attributes. It takes
the records for what the API's sample shows, and checks nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from history_pipeline.model import HistoryRequest, Source

INTERACTIONS = (
    "interaction_id",
    "contact_id",
    "requested_contact_id",
    "media_type",
    "type_id",
    "state",
    "subject",
    "uri",
    "started_at",
    "ended_at",
    "started_at_text",
    "ended_at_text",
    "owner_id",
    "owner_user_name",
    "owner_first_name",
    "owner_last_name",
    "source",
    "extra",
    "window_date",
)
"""Of the warehouse's columns, those that do not tell when something was seen."""

STANDING = "standing"
"""By which the better of two copies is chosen: ended, then main's, then of the contact asked for."""

DLT_DATABASE = "dlt.duckdb"

ATTRIBUTES = ("interaction_id", "name", "value", "value_type")

_KNOWN = frozenset(
    {"id", "contactId", "mediaType", "typeId", "state", "subject", "uri", "startDate", "endDate",
     "ownerInformation", "customAttributes"}
)  # fmt: skip
_KINDS = {
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}

Row = dict[str, Any]


def rows_of(
    record: dict[str, Any], request: HistoryRequest, zone: ZoneInfo
) -> tuple[Row | None, list[Row]]:
    """The row of an interaction that lies in the request's window, and its attributes' rows."""
    started = datetime.fromisoformat(record["startDate"])
    day = started.astimezone(zone).date()
    if day not in request.window:
        return None, []
    ended = record.get("endDate")
    owner = record.get("ownerInformation") or {}
    extra = {name: value for name, value in record.items() if name not in _KNOWN}
    row = {
        "interaction_id": record["id"],
        "contact_id": record.get("contactId"),
        "requested_contact_id": request.contact_id,
        "media_type": record.get("mediaType"),
        "type_id": record.get("typeId"),
        "state": record.get("state"),
        "subject": record.get("subject"),
        "uri": record.get("uri"),
        "started_at": started.astimezone(UTC),
        "ended_at": datetime.fromisoformat(ended).astimezone(UTC) if ended else None,
        "started_at_text": record["startDate"],
        "ended_at_text": ended,
        "owner_id": owner.get("id"),
        "owner_user_name": owner.get("userName"),
        "owner_first_name": owner.get("firstName"),
        "owner_last_name": owner.get("lastName"),
        "source": request.source.value,
        "extra": _json(extra) if extra else None,
        "window_date": day,
        STANDING: 4 * bool(ended)
        + 2 * (request.source is Source.MAIN)
        + (record.get("contactId") == request.contact_id),
    }
    named = [
        {
            "interaction_id": record["id"],
            "name": name,
            "value": value if isinstance(value, str) else _json(value),
            "value_type": "string" if isinstance(value, str) else _KINDS[type(value)],
        }
        for name, value in (record.get("customAttributes") or {}).items()
    ]
    return row, named


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
