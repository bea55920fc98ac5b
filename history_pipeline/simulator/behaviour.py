"""How the simulated server behaves: every switch, with its default.

Knows names, defaults and limits of the switches, in sections that the command line shows as
they stand here. Does not act on them; the modules named in the sections do.

Shares are from 0 (never) to 1 (always). Every share is a chance of its own: a function of the
seed, the fault's name and the request itself (what is asked, and for the how-manieth time), so
that a run can be repeated and one fault does not move another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from history_pipeline.simulator import switches
from history_pipeline.simulator.site_switches import SiteSwitches
from history_pipeline.simulator.switches import (
    ages,
    check,
    choice,
    count,
    millis,
    number,
    numbers,
    seconds,
    several,
    share,
    span,
    turned_off,
    turned_on,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LOGIN_REFUSALS = ("401", "403", "statuscode", "redirect", "html")
LOST_SESSION_ADVICE = ("handshake", "none", "absent")
REFERENCE_IDS = ("server", "session")
RETRY_AFTER_FORMS = ("seconds", "date", "none")
PLACES = ("history", "contacts", "polls", "handshakes", "login")
LIMIT_STATUSES = ("429", "503")


@dataclass(frozen=True, kw_only=True)
class RequestSwitches:
    """Login, history requests and their answers."""

    username: str = field(default="apiuser", metadata=switches.text("the only user's name"))
    password: str = field(default="password", metadata=switches.text("the only user's password"))
    login_refusal: str = field(
        default="401", metadata=choice("how wrong credentials are refused", LOGIN_REFUSALS)
    )
    csrf: bool = field(default=True, metadata=turned_off("no CSRF tokens", "no-csrf"))
    http_session_timeout: float = field(
        default=1800.0, metadata=seconds("idleness that ends an HTTP session")
    )
    polls_keep_session: bool = field(
        default=True,
        metadata=turned_off("CometD calls count as idleness", "polls-do-not-keep-session"),
    )
    latency_ms: tuple[float, float] = field(
        default=(0.0, 0.0), metadata=span("from acceptance to notification", "latency")
    )
    reply_latency_ms: tuple[float, float] = field(
        default=(0.0, 0.0),
        metadata=span("of the HTTP reply to a history request", "reply-latency"),
    )
    archive: bool = field(
        default=True, metadata=turned_off("archive answers with an errorMessage", "no-archive")
    )
    to_date_included: bool = field(
        default=True, metadata=turned_off("toDate's own day is not answered", "to-date-excluded")
    )
    answer_cap: int | None = field(
        default=None, metadata=count("most records in one answer (no cap)", least=0)
    )
    max_size_refused_above: int | None = field(
        default=None, metadata=count("largest maxSize that is taken; more is out of range (any)")
    )
    max_size_cut_at: int | None = field(
        default=None, metadata=count("what a larger maxSize counts as, without a word (as it is)")
    )
    remembered_answers: int = field(
        default=0, metadata=count("answers kept as they were composed, for speed (none)", least=0)
    )
    errors_as_http: bool = field(
        default=True,
        metadata=turned_off("statusCode errors come as HTTP 200", "errors-with-200"),
    )
    max_page: int = field(default=500, metadata=count("largest page of contacts"))


@dataclass(frozen=True, kw_only=True)
class CometdSwitches:
    """The CometD channel and its advice."""

    ack: bool = field(default=True, metadata=turned_off("no ack extension", "no-ack"))
    subscription_refused: bool = field(
        default=False, metadata=turned_on("subscriptions are denied", "refuse-subscription")
    )
    cometd_timeout_ms: int = field(
        default=30_000, metadata=millis("how long a poll is held", "cometd-timeout")
    )
    cometd_interval_ms: int = field(
        default=0, metadata=millis("advised pause between polls", "cometd-interval")
    )
    cometd_max_interval_ms: int = field(
        default=10_000, metadata=millis("lack of polls that ends a session", "cometd-max-interval")
    )
    lost_session_advice: str = field(
        default="handshake",
        metadata=choice("what a poll of an unknown session is advised (402)", LOST_SESSION_ADVICE),
    )
    reference_ids: str = field(
        default="server",
        metadata=choice(
            "where reference ids are counted: with `session` they start again at 1 after a "
            "handshake",
            REFERENCE_IDS,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class NotificationSwitches:
    """Notifications that go wrong; shares of the accepted history requests."""

    early_share: float = field(default=0.0, metadata=share("notified before the HTTP reply"))
    lost_share: float = field(default=0.0, metadata=share("never notified"))
    doubled_share: float = field(default=0.0, metadata=share("notified twice"))
    late_share: float = field(default=0.0, metadata=share("notified late"))
    late_seconds: float = field(default=90.0, metadata=seconds("by which the late ones are (90)"))
    after_epoch_share: float = field(
        default=0.0,
        metadata=share(
            "kept until their CometD session is gone, and put in a later one (with "
            "`--reference-ids session` no client can tell them from its own)"
        ),
    )
    reordered_share: float = field(
        default=0.0, metadata=share("held back until the next one of that session has gone out")
    )
    reordered_wait_ms: int = field(
        default=200, metadata=millis("after which they go out anyway (200)", "reordered-wait")
    )
    foreign_share: float = field(
        default=0.0, metadata=share("preceded by an answer with a stranger's reference id")
    )
    other_type_share: float = field(
        default=0.0,
        metadata=share("preceded by a message of another messageType with our reference id"),
    )
    error_share: float = field(
        default=0.0, metadata=share("notified with an errorMessage in place of interactions")
    )
    failing_contact_share: float = field(
        default=0.0, metadata=share("of the contacts: always answered with an errorMessage")
    )
    failing_contacts: tuple[str, ...] = field(
        default=(),
        metadata=switches.names("contacts always answered with an errorMessage", "ID[,ID]"),
    )
    cut_reply_share: float = field(
        default=0.0,
        metadata=share("of the poll replies that carry notifications: cut inside the body"),
    )
    cut_replies: tuple[int, ...] = field(
        default=(), metadata=numbers("cut the Nth poll reply that carries notifications")
    )
    mute_from: int | None = field(
        default=None,
        metadata=count("from the Nth accepted request on nothing is delivered at all"),
    )
    mute_seconds: float | None = field(
        default=None, metadata=seconds("how long the channel is mute (for good)")
    )


@dataclass(frozen=True, kw_only=True)
class HttpFaultSwitches:
    """HTTP replies that go wrong; shares of the calls at the places chosen.

    Where several fall on one call, the first in this order counts.
    """

    http_faults_on: tuple[str, ...] = field(
        default=("history",), metadata=several("places of these faults (history)", PLACES)
    )
    reset_share: float = field(
        default=0.0, metadata=share("connection reset before the request is looked at")
    )
    http_401_share: float = field(default=0.0, metadata=share("HTTP 401, statusCode 20"))
    http_403_share: float = field(default=0.0, metadata=share("HTTP 403 for the CSRF token"))
    http_429_share: float = field(default=0.0, metadata=share("HTTP 429"))
    http_503_share: float = field(default=0.0, metadata=share("HTTP 503"))
    http_500_share: float = field(default=0.0, metadata=share("HTTP 500, statusCode 4"))
    html_share: float = field(default=0.0, metadata=share("an HTML page with status 200"))
    truncated_share: float = field(
        default=0.0, metadata=share("half of the JSON, after the request was processed")
    )
    reset_after_share: float = field(
        default=0.0, metadata=share("connection reset after the request was processed")
    )
    retry_after: int = field(
        default=1, metadata=count("Retry-After of 429 and 503, whole seconds (1)", least=0)
    )
    retry_after_forms: tuple[str, ...] = field(
        default=("seconds",),
        metadata=several("forms of Retry-After, in turn by chance (seconds)", RETRY_AFTER_FORMS),
    )


@dataclass(frozen=True, kw_only=True)
class SessionSwitches:
    """Sessions that end while they are in use."""

    http_session_requests: int | None = field(
        default=None, metadata=count("an HTTP session serves N calls (polls not counted)")
    )
    http_session_life: float | None = field(
        default=None, metadata=seconds("an HTTP session lives so long")
    )
    cometd_session_requests: int | None = field(
        default=None, metadata=count("a CometD session ends with its Nth accepted history request")
    )
    cometd_session_life: float | None = field(
        default=None, metadata=seconds("a CometD session lives so long")
    )


@dataclass(frozen=True, kw_only=True)
class LimitSwitches:
    """What the server bears; history requests beyond it are refused, with Retry-After."""

    max_per_second: int | None = field(
        default=None, metadata=count("history requests admitted in any second")
    )
    max_in_flight: int | None = field(
        default=None, metadata=count("history requests in flight at once")
    )
    over_limit_status: str = field(
        default="429", metadata=choice("how the others are refused", LIMIT_STATUSES)
    )


@dataclass(frozen=True, kw_only=True)
class ContactSwitches:
    """Contacts that come, go, or are not what their list says; shares of the contacts."""

    contacts_inserted_share: float = field(
        default=0.0, metadata=share("not in the list at first; they come in while it is paged")
    )
    contacts_removed_share: float = field(
        default=0.0, metadata=share("leave the list while it is paged")
    )
    unknown_contact_share: float = field(
        default=0.0, metadata=share("in the list, but unknown to history (404, statusCode 6)")
    )


@dataclass(frozen=True, kw_only=True)
class ArchiverSwitches:
    """An archiver that moves ended interactions from main to archive during a run."""

    archiver_per_second: float = field(
        default=0.0, metadata=number("passes N of the world's interactions a second, oldest first")
    )
    archiver_per_request: int = field(
        default=0,
        metadata=count("moves N of the contact's interactions after each answer about it", least=0),
    )
    archiver_gap: float = field(
        default=0.0,
        metadata=seconds("a set-based archiver: what moves is in neither source for so long"),
    )


@dataclass(frozen=True, kw_only=True)
class ChangeSwitches:
    """What becomes of interactions and contacts later, by the wall clock."""

    ends_late_share: float = field(
        default=0.0, metadata=share("of the interactions that are open: they end late")
    )
    ends_late_days: tuple[float, float] = field(
        default=(8.0, 60.0), metadata=ages("their age when they end (8,60)")
    )
    late_archived_days: float | None = field(
        default=None,
        metadata=number("after which they are in archive alone (never)"),
    )
    merged_later_share: float = field(
        default=0.0,
        metadata=share("of the contacts: merged into the one before them, half of all at most"),
    )
    merged_later_days: tuple[float, float] = field(
        default=(1.0, 30.0), metadata=ages("since the world's start, when they are merged (1,30)")
    )
    merged_ids_unknown: bool = field(
        default=False,
        metadata=turned_on("ids of merged contacts are unknown to history", "merged-ids-unknown"),
    )
    reassigned_share: float = field(
        default=0.0, metadata=share("of the interactions: assigned to another contact")
    )
    reassigned_days: tuple[float, float] = field(
        default=(1.0, 30.0), metadata=ages("their age when they are (1,30)")
    )


@dataclass(frozen=True, kw_only=True)
class NodeSwitches:
    """Several nodes behind a balancer that goes by a cookie."""

    nodes: int = field(default=1, metadata=count("backends with sessions of their own (1)"))
    first_node: int = field(
        default=1,
        metadata=count("the number that their names begin with, at the end of JSESSIONID (1)"),
    )


SECTIONS: dict[str, type[DataclassInstance]] = {
    "requests": RequestSwitches,
    "sites": SiteSwitches,
    "CometD": CometdSwitches,
    "faults of notifications": NotificationSwitches,
    "faults of HTTP replies": HttpFaultSwitches,
    "sessions that end": SessionSwitches,
    "limits": LimitSwitches,
    "contacts": ContactSwitches,
    "archiver": ArchiverSwitches,
    "later changes": ChangeSwitches,
    "nodes": NodeSwitches,
}
"""What the command line calls each section."""


@dataclass(frozen=True, kw_only=True)
class Behaviour(
    NodeSwitches,
    ChangeSwitches,
    ArchiverSwitches,
    ContactSwitches,
    LimitSwitches,
    SessionSwitches,
    HttpFaultSwitches,
    NotificationSwitches,
    CometdSwitches,
    SiteSwitches,
    RequestSwitches,
):
    """All switches; `seed` is that of every chance. Raises ValueError for what makes no sense."""

    seed: int = 1

    def __post_init__(self) -> None:
        check(self)
        if self.archiver_per_second and self.archiver_per_request:
            raise ValueError("an archiver goes by the second or by the request, not by both")
        if self.merged_later_share > 0.5:
            raise ValueError("at most half of the contacts can be merged into the other half")
        if self.mute_seconds is not None and self.mute_from is None:
            raise ValueError("mute_seconds needs mute_from")
