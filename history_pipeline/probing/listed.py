"""Whether those who are listed as contacts are customers. Pure.

A customer's id has 16 characters (UCS); an entry of the agents' directory has 32 hexadecimal digits
and a type (guide, ContactsResource).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from enum import Enum

from history_pipeline.model import Contact
from history_pipeline.probing.finding import Finding, Question, notable, settled, unsettled

_CUSTOMERS_ID = re.compile(r"[0-9A-Za-z]{16}", re.ASCII)
_ENTRYS_ID = re.compile(r"[0-9A-Fa-f]{32}", re.ASCII)
_ENTRYS_TYPES = ("User", "Queue", "Custom")


class Kind(Enum):
    """What a list is of."""

    CUSTOMERS = "customers"
    DIRECTORY = "the directory of agents and queues"
    OTHER = "something else"
    NOBODY = "nobody"


def kind_of(page: Sequence[Contact]) -> Kind:
    """What most of a page is."""
    counted = Counter(map(_kind, page))
    return counted.most_common(1)[0][0] if counted else Kind.NOBODY


def _kind(contact: Contact) -> Kind:
    if contact.attributes.get("type") in _ENTRYS_TYPES or _ENTRYS_ID.fullmatch(contact.contact_id):
        return Kind.DIRECTORY
    return Kind.CUSTOMERS if _CUSTOMERS_ID.fullmatch(contact.contact_id) else Kind.OTHER


def way_out(path: str) -> str:
    """For whoever has taken the directory for a list of customers."""
    return (
        f"{path} lists {Kind.DIRECTORY.value}, who have no history; set HISTORY_CONTACTS=activity, "
        "or file:PATH with ids of customers (16 characters) from UCS or a CRM"
    )


def contacts(
    path: str,
    page: Sequence[Contact] | None,
    why_not: str,
    *,
    source: str,
    configured: str,
    has_activity: bool | None,
) -> Finding:
    """`page` is the first of the list at `path`, None where there is none; `source` and
    `configured` are HISTORY_CONTACTS, the kind and the whole of it; `has_activity` is whether
    RetrieveInteractionHistory answers."""
    question = Question.CONTACTS
    if page is None:
        return unsettled(question, f"no list at {path}: {why_not}", HISTORY_CONTACTS=configured)
    kind = kind_of(page)
    if kind is Kind.DIRECTORY and source == "gws":
        if has_activity is False:
            return notable(
                question, f"{way_out(path)}; activity is not offered here: use file:PATH"
            )
        return notable(question, way_out(path), HISTORY_CONTACTS="activity")
    told = f"{path} lists {kind.value}"
    if source == "gws" and kind is not Kind.CUSTOMERS:
        return unsettled(question, f"{told}: {_doubt(page)}", HISTORY_CONTACTS=configured)
    if kind is Kind.CUSTOMERS and source != "gws":
        told += "; HISTORY_CONTACTS=gws would ask for all of them"
    elif kind is Kind.DIRECTORY:
        told += ", as on most sites"
    return settled(question, told, HISTORY_CONTACTS=configured)


def _doubt(page: Sequence[Contact]) -> str:
    if not page:
        return "it is empty, or the user may not see it"
    return f"ids of {len(page[0].contact_id)} characters are neither customers' nor agents'"
