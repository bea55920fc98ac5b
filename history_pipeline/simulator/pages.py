"""What can be read with GET.

Knows the envelope and the resources besides history. Does not know sessions or HTTP headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import key_number
from history_pipeline.simulator.history_query import NOT_FOUND, VALUE_INVALID, Refused
from history_pipeline.simulator.paths import CONTACTS_PATH, ME_PATH
from history_pipeline.simulator.roster import Roster
from history_pipeline.simulator.world import World

VERSION = "8.5.202.99"
OPEN_PATHS = frozenset(("/api/v2/diagnostics/version",))
"""What an anonymous caller may read."""
FEATURES_PATHS = frozenset(("/api/v2/features", "/api/v2/system/features"))
_DEFAULT_PAGE = 100
_QUEUE_EVERY = 5


class Pages:
    """Resources by path; `read` raises Refused where there is none."""

    def __init__(self, world: World, behaviour: Behaviour, roster: Roster) -> None:
        self._world = world
        self._behaviour = behaviour
        self._roster = roster

    def read(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        if path == ME_PATH:
            return self._me()
        if path == "/api/v2/diagnostics/version":
            return {"statusCode": 0, "version": VERSION}
        if path in FEATURES_PATHS and self._behaviour.features_served:
            told = [{"id": name} for name in self._behaviour.features]
            return {"statusCode": 0, "features": told}
        if path == CONTACTS_PATH:
            return self._contacts(parameters)
        raise Refused(NOT_FOUND, "resource not found")

    def _me(self) -> dict[str, Any]:
        user: dict[str, Any] = {
            "id": "c0ffee00c0ffee00c0ffee00c0ffee00",
            "userName": self._behaviour.username,
            "uri": "http://localhost:8080/api/v2/me",
            "path": "/me",
        }
        if self._behaviour.roles:
            user["roles"] = list(self._behaviour.roles)
        return {"statusCode": 0, "user": user}

    def _contacts(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """A limit beyond the largest page gives fewer rows, not an error."""
        offset = _whole(parameters, "offset", 0)
        limit = min(_whole(parameters, "limit", _DEFAULT_PAGE), self._behaviour.max_page)
        total, listed = self._roster.page(offset, limit)
        if self._behaviour.agents_listed:
            rows = [_directory_entry(number) for number in listed]
        else:
            customers = map(self._world.contact, listed)
            rows = [{"id": one.contact_id} | one.attributes for one in customers]
        return {"statusCode": 0, "totalCount": total, "contacts": rows}


def _directory_entry(number: int) -> dict[str, Any]:
    """An agent, or a queue (guide, 4.1)."""
    entry = {"id": f"{key_number('entry', number):016x}{number:016x}"}
    if number % _QUEUE_EVERY == 0:
        return entry | {"type": "Queue", "name": f"Queue {number}", "phoneNumbers": []}
    name = f"agent{number:02}"
    return entry | {"type": "User", "userName": name, "firstName": "A", "lastName": name}


def _whole(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise Refused(VALUE_INVALID, f"{name} is no whole number")
    return int(text)
