"""Where the resources are.

Knows the paths that more than one module has to tell apart. Does not know what is there.
"""

from __future__ import annotations

ME_PATH = "/api/v2/me"
CONTACTS_PATH = "/api/v2/contacts"
NOTIFICATIONS_PATH = "/api/v2/notifications"
INTERACTIONS_PATH = "/api/v2/ucs/interactions"
STATS_PATH = "/simulator/stats"
_PREFIX, _SUFFIX = "/api/v2/ucs/contacts/", "/interactions"


def contact_in(path: str) -> str | None:
    """The id in the path of a contact's history, or None if it is no such path."""
    if path.startswith(_PREFIX) and path.endswith(_SUFFIX):
        return path[len(_PREFIX) : -len(_SUFFIX)]
    return None
