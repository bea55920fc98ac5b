"""Switches for what is not documented, so that sites may differ in it (guide, section 9).

Each default is what the simulator always did. Knows names and limits; does not act on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from history_pipeline.simulator import switches
from history_pipeline.simulator.switches import choice, turned_off, turned_on, zone

BASIC_ENCODINGS = ("utf-8", "iso-8859-1")
UNKNOWN_CONTACTS = ("404", "code-6", "empty", "error-message")
FEATURES = (
    "api-multimedia-chat",
    "api-multimedia-email",
    "api-multimedia-facebook",
    "api-multimedia-twitter",
    "api-ucs-voice",
)
_NAMES = "NAME[,NAME]"


@dataclass(frozen=True, kw_only=True)
class SiteSwitches:
    """What sites differ in, and the documentation leaves open."""

    basic_encoding: str = field(
        default="utf-8", metadata=choice("how Basic credentials are read", BASIC_ENCODINGS)
    )
    roles: tuple[str, ...] = field(
        default=("ROLE_ADMIN",),
        metadata=switches.names("roles of the user (`--roles ,` tells of none)", _NAMES),
    )
    features: tuple[str, ...] = field(
        default=FEATURES, metadata=switches.names("features of the contact centre", _NAMES)
    )
    features_served: bool = field(
        default=True, metadata=turned_off("no resource tells the features", "no-features")
    )
    transports: tuple[str, ...] = field(
        default=("long-polling",),
        metadata=switches.names("transports that a handshake offers; one serves", _NAMES),
    )
    agents_listed: bool = field(
        default=False,
        metadata=turned_on(
            "the list of contacts is the directory of agents and queues", "agents-listed"
        ),
    )
    interaction_history: bool = field(
        default=True,
        metadata=turned_off("RetrieveInteractionHistory is refused", "no-interaction-history"),
    )
    days_zone: str = field(
        default="", metadata=zone("zone in which bare dates are cut (the world's)")
    )
    sort_obeyed: bool = field(
        default=True, metadata=turned_off("newest first, whatever is asked", "sort-ignored")
    )
    source_obeyed: bool = field(
        default=True, metadata=turned_off("main answers, whatever is asked", "source-ignored")
    )
    unknown_contacts: str = field(
        default="404", metadata=choice("how unknown contacts are answered", UNKNOWN_CONTACTS)
    )
    heard_by_all: bool = field(
        default=False,
        metadata=turned_on("answers go to every session that listens", "heard-by-all"),
    )
