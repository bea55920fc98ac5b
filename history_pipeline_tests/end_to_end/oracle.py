"""What the warehouse must hold, worked out from the world alone and with none of the pipeline's
code: copies, the one that wins, and its values."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from history_pipeline.simulator.world import World

_FORMATS = ("%Y-%m-%d %H:%M:%S.%f%z",)
_PLAIN = {
    "media_type": "mediaType",
    "type_id": "typeId",
    "state": "state",
    "subject": "subject",
    "uri": "uri",
    "started_at_text": "startDate",
    "ended_at_text": "endDate",
}
_OWNER = {
    "owner_id": "id",
    "owner_user_name": "userName",
    "owner_first_name": "firstName",
    "owner_last_name": "lastName",
}
_NAMED = {*_PLAIN.values(), "id", "contactId", "ownerInformation", "customAttributes"}


@dataclass(frozen=True, slots=True)
class Copy:
    requested: str
    source: str
    payload: dict[str, Any]

    @property
    def standing(self) -> tuple[bool, bool, bool]:
        ended = self.payload.get("endDate") is not None
        return ended, self.source == "main", self.payload.get("contactId") == self.requested


def copies(
    world: World, zone: ZoneInfo, start: date, end: date, sources: Iterable[str]
) -> dict[str, list[Copy]]:
    """Every readable copy that starts on one of these local days, by interaction id."""
    found: dict[str, list[Copy]] = defaultdict(list)
    for contact in world.contacts():
        for source in sources:
            for record in world.records(contact.contact_id, source):
                local = record.started_at.astimezone(zone).date()
                if record.readable and start <= local < end:
                    found[record.payload["id"]].append(
                        Copy(contact.contact_id, source, record.payload)
                    )
    return dict(found)


def row(found: list[Copy], zone: ZoneInfo) -> dict[str, Any]:
    """The one row for an interaction; `contact_ids` are those that any copy names."""
    best = max(found, key=lambda copy: copy.standing)
    payload = best.payload
    owner = payload.get("ownerInformation") or {}
    started = _moment(payload["startDate"])
    return {
        **{column: _text(payload.get(name)) for column, name in _PLAIN.items()},
        **{column: _text(owner.get(name)) for column, name in _OWNER.items()},
        "started_at": started,
        "ended_at": _moment(payload["endDate"]) if payload.get("endDate") else None,
        "source": best.source,
        "seen_in_main": any(copy.source == "main" for copy in found),
        "seen_in_archive": any(copy.source == "archive" for copy in found),
        "window_date": started.astimezone(zone).date(),
        "extra": {k: v for k, v in payload.items() if k not in _NAMED},
        "contact_ids": {copy.payload.get("contactId") for copy in found},
        "requested": {copy.requested for copy in found if copy.standing == best.standing},
    }


def attributes(found: list[Copy], asked: Iterable[str]) -> dict[str, tuple[str, str]]:
    """name → (value, type) of the winning copy, for the names that were asked for."""
    best = max(found, key=lambda copy: copy.standing)
    held = best.payload.get("customAttributes") or {}
    return {name: _typed(held[name]) for name in asked if name in held}


def unreadable(world: World, start: date, end: date, zone: ZoneInfo) -> int:
    """Records that must be set aside; the world serves each by an instant of its own."""
    return sum(
        not record.readable and start <= record.started_at.astimezone(zone).date() < end
        for contact in world.contacts()
        for source in ("main", "archive")
        for record in world.records(contact.contact_id, source)
    )


def _typed(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        return value, "string"
    kinds = {bool: "boolean", int: "number", float: "number", dict: "object", list: "array"}
    return json.dumps(value), kinds.get(type(value), "null")


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _FORMATS[0]).astimezone(UTC)
