"""What `check` reads with GET: who is logged in, the features, and who is listed as contacts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import requests

from history_pipeline.contacts.directory import DirectoryContacts, get_json
from history_pipeline.contacts.listed_file import FileContacts
from history_pipeline.errors import LoginRefused, ServerUnusable
from history_pipeline.gws import wire
from history_pipeline.model import Contact
from history_pipeline.probing import connection, listed
from history_pipeline.probing.finding import Finding
from history_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Look:
    """The first page of the list of contacts, or the reason why there is none."""

    page: list[Contact] | None
    why_not: str = ""

    def finding(self, settings: Settings, has_activity: bool | None) -> Finding:
        """`has_activity` is whether RetrieveInteractionHistory answers, where that is known."""
        return listed.contacts(
            settings.contacts_path,
            self.page,
            self.why_not,
            source=settings.contact_source,
            configured=settings.contacts,
            has_activity=has_activity,
        )


def look(settings: Settings, session: requests.Session) -> Look:
    """Where the list is not what is used, it does not matter that it cannot be read."""
    try:
        return Look(first_page(DirectoryContacts(settings, session)))
    except ServerUnusable as exc:
        return Look(None, str(exc))


def me(settings: Settings, session: requests.Session) -> dict[str, Any]:
    try:
        return get_json(session, settings.url + wire.ME_PATH, wire.ME_PATH)
    except LoginRefused as exc:
        raise LoginRefused(f"{exc}{connection.other_encoding(settings)}") from exc


def features(settings: Settings, session: requests.Session) -> Finding:
    path = wire.FEATURES_PATH
    body: Any = None
    try:
        body = get_json(session, settings.url + path, path, {"fields": "*"})
    except ServerUnusable as exc:
        return connection.features(None, str(exc))
    return connection.features(body)


def first_page(source: FileContacts | DirectoryContacts) -> list[Contact]:
    return list(itertools.chain.from_iterable(itertools.islice(source.pages(), 1)))


def counted(page: list[Contact]) -> str:
    return f"{len(page)} on the first page" if page else "the list is empty"
