"""How one interaction is written.

Knows the shape of a record (RetrieveContactHistory, sample) and the ways in which records
go wrong. Does not know which contact has how many, nor which of them a request asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import Any

from history_pipeline.simulator import vocabulary
from history_pipeline.simulator.calendar_days import OTHER_ZONES, written
from history_pipeline.simulator.draws import key_number
from history_pipeline.simulator.ids import interaction_id

Payload = dict[str, Any]

_MEDIA = tuple(name for name, _ in vocabulary.MEDIA_TYPES)
_MEDIA_EDGES = tuple(accumulate(weight for _, weight in vocabulary.MEDIA_TYPES))
_MEDIA_SLOTS = tuple(
    next(name for name, edge in zip(_MEDIA, _MEDIA_EDGES, strict=True) if slot < edge)
    for slot in range(_MEDIA_EDGES[-1])
)
_OWNERS = 40


@dataclass(frozen=True, slots=True)
class Record:
    """One element of `interactions`, and what is true of it.

    `payload` is the JSON value with all its custom attributes (an answer holds only those
    that were asked for). `started_at` is the instant, in UTC, on which the date filter acts,
    also where `payload` itself does not tell it. `defect` names what makes it unreadable.
    """

    started_at: datetime
    payload: Any
    defect: str | None = None

    @property
    def readable(self) -> bool:
        return self.defect is None


@dataclass(frozen=True, slots=True)
class Setting:
    """What all interactions of a world share."""

    seed: int
    zone: tzinfo
    external_url: str
    attribute_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Whose interaction it is: the `ordinal`-th of contact `index`, told as `contact_id`'s."""

    index: int
    ordinal: int
    start_ms: int
    contact_id: str


def pick(draw: Random, choices: tuple[Any, ...]) -> Any:
    return choices[int(draw.random() * len(choices))]


@lru_cache(maxsize=_OWNERS * 4)
def _agent(seed: int, number: int) -> Payload:
    return {
        "userName": f"agent{number:02}",
        "lastName": f"Agent {number}",
        "id": f"{key_number('owner', seed, number):016x}{key_number('own', seed, number):016x}",
        "firstName": "Ä" if number % 7 == 0 else "A",
    }


def owner(setting: Setting, draw: Random) -> Payload | None:
    """The agent; missing or told in part where the real server does so, too."""
    chance = draw.random()
    if chance < 0.15:
        return None
    whole = _agent(setting.seed, int(draw.random() * _OWNERS))
    if chance < 0.20:
        return {"id": whole["id"]}
    if chance < 0.25:
        return {"userName": whole["userName"], "firstName": ""}
    return {} if chance < 0.27 else whole


def custom_attributes(setting: Setting, draw: Random) -> Payload | None:
    if draw.random() < 0.2:
        return None
    found: Payload = {}
    texts = vocabulary.ATTRIBUTE_TEXTS
    for name in setting.attribute_names:
        chance = draw.random()
        if chance < 0.02:
            found[name] = pick(draw, vocabulary.ODD_VALUES)
        elif chance < 0.4:
            found[name] = texts[int((chance - 0.02) / 0.38 * len(texts))]
    return found


def _start_zone(setting: Setting, draw: Random) -> tzinfo:
    chance = draw.random()
    if chance < 0.92:
        return setting.zone
    return UTC if chance < 0.97 else pick(draw, OTHER_ZONES)


def _state(payload: Payload, ms: int, zone: tzinfo, draw: Random) -> None:
    """Sets state and end: neither can be derived from the other (guide, 5.4)."""
    chance = draw.random()
    if chance < 0.08:
        payload["state"] = "InProcess"
        return
    if chance < 0.10:
        payload["state"] = "New" if chance < 0.09 else "Pending"
        return
    payload["state"] = "InProcess" if chance < 0.2 else "Stopped"
    lasted = int(draw.random() * draw.random() * 1_800_000)
    payload["endDate"] = written(ms + lasted, zone)


def compose(setting: Setting, place: Place, draw: Random) -> Payload:
    """A whole record. The keys come in an order of the server's own, as JSON may."""
    zone = _start_zone(setting, draw)
    payload: Payload = {
        "typeId": pick(draw, vocabulary.TYPE_IDS),
        "startDate": written(place.start_ms, zone),
    }
    _state(payload, place.start_ms, zone, draw)
    agent = owner(setting, draw)
    if agent is not None:
        payload["ownerInformation"] = agent
    own_id = interaction_id(place.index, place.ordinal)
    payload["mediaType"] = pick(draw, _MEDIA_SLOTS)
    payload["uri"] = f"{setting.external_url}/interactions/{own_id}"
    payload["contactId"] = place.contact_id
    payload["id"] = own_id
    chance = draw.random()
    if chance < 0.85:
        payload["subject"] = pick(draw, vocabulary.SUBJECTS) if chance > 0.05 else ""
    _extras(payload, place, draw)
    attributes = custom_attributes(setting, draw)
    if attributes is not None:
        payload["customAttributes"] = attributes
    return payload


def _extras(payload: Payload, place: Place, draw: Random) -> None:
    """Fields of the resource page that list samples do not show; clients must keep them."""
    index, ordinal = place.index, place.ordinal
    chance = draw.random()
    if chance < 0.10 and ordinal:
        payload["parentId"] = interaction_id(index, ordinal - 1)
    if 0.05 < chance < 0.20:
        payload["threadId"] = interaction_id(index, ordinal - ordinal % 5)
    if 0.15 < chance < 0.25:
        payload["comment"] = pick(draw, vocabulary.COMMENTS)
    if 0.25 < chance < 0.30:
        payload["userData"] = [
            {"key": "Queue", "type": "str", "value": "VQ_Support"},
            {"key": "Skills", "type": "kvlist", "value": [{"key": "de", "value": 10}]},
        ]
    if payload["mediaType"] in ("Call", "call") and chance > 0.5:
        payload["phoneNumber"] = f"+49{int(chance * 1e9)}"
        payload["callDuration"] = int(chance * 600)


def still_open(payload: Payload) -> Payload:
    """Main's older copy of an interaction that archive holds ended."""
    copy = {key: value for key, value in payload.items() if key != "endDate"}
    copy["state"] = "InProcess"
    copy["subject"] = "Customer support"
    attributes = copy.get("customAttributes")
    if attributes:
        copy["customAttributes"] = dict(list(attributes.items())[1:])
    return copy


def _without(key: str) -> Callable[[Payload], Any]:
    return lambda payload: {name: value for name, value in payload.items() if name != key}


def _with(key: str, value: str) -> Callable[[Payload], Any]:
    return lambda payload: payload | {key: value}


DEFECTS: dict[str, Callable[[Payload], Any]] = {
    "null": lambda payload: None,
    "number": lambda payload: 17,
    "text": lambda payload: "interaction",
    "list": lambda payload: [payload["id"]],
    "id missing": _without("id"),
    "id empty": _with("id", ""),
    "start missing": _without("startDate"),
    "start garbage": _with("startDate", "2024-02-31 25:61:00.000+0100"),
    "start without offset": lambda payload: payload | {"startDate": payload["startDate"][:23]},
    "lone surrogate": _with("subject", "cut in half: \ud83d"),
}
"""Name of the defect → what it makes of a whole record.

`lone surrogate` is valid JSON text (an escape), but no text that UTF-8 can hold.
"""
