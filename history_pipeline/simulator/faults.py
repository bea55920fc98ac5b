"""What can go wrong, and the points at which it is decided.

Knows calls and what can be done to them. Each point is asked in the order in which they stand
here; a policy is a subclass that overrides some of them, and `SwitchedFaults` is the one that
follows the switches. Policies decide; the server acts, and counts under the names that a
decision carries. A decision depends on the thing that it is about, and on the moment only
where the point is given one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ARCHIVE_ABSENT = "UCS request failed"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `ordinal` counts those of its node from 1; `path` has no query.

    Only for a policy that `identifies`: `place` is where it goes (one of `PLACES`, or empty),
    `identity` a number for what it asks, `turn` how often that has been asked by now, from 1.
    """

    ordinal: int
    method: str
    path: str
    place: str = ""
    identity: int = 0
    turn: int = 1


@dataclass(frozen=True, slots=True)
class Interference:
    """A reply in place of the real one; with `cut`, the connection ends without a reply."""

    status: int = 503
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A reply that was made, but does not go out whole.

    `body` replaces the real one. With `sent` the head and so many bytes of the body go out and
    then the connection ends; with `reset` it ends without a byte.
    """

    fault: str
    body: bytes
    sent: int | None = None
    reset: bool = False


@dataclass(frozen=True, slots=True)
class HistoryCall:
    """An accepted history request, the `ordinal`-th of the server from 1.

    `contact_id` is None for RetrieveInteractionHistory. `identity` and `turn` are the call's.
    """

    reference_id: int
    contact_id: str | None
    source: str
    ordinal: int = 1
    identity: int = 0
    turn: int = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a notification goes out: `delay` in seconds from acceptance, `copies` 0 is lost.

    With `early` it goes out before the HTTP reply; `delay` then counts for nothing. With
    `after_epoch` it waits until its CometD session is gone, and goes to the next one that
    subscribes. `overtaken_within` is how many seconds it waits to be overtaken by another.
    Before it go answers with `foreign` strangers' reference ids, and a message with its own
    reference id of another type, `other_type` (a key of `strangers.OTHER_TYPES`).
    `faults` are the names under which all this is counted.
    """

    delay: float = 0.0
    early: bool = False
    copies: int = 1
    error_message: str | None = None
    after_epoch: bool = False
    overtaken_within: float | None = None
    foreign: int = 0
    other_type: str | None = None
    faults: tuple[str, ...] = ()


class Faults:
    """The points; this class lets everything pass."""

    identifies = False
    """Whether calls come with place, identity and turn; it costs a hash a call."""

    def before_call(self, call: Call) -> Interference | None:
        """Before login, CSRF and anything else is looked at."""
        return None

    def http_session_over(self, age: float, served: int) -> str:
        """The name of the fault that ends a session of `age` seconds and `served` calls."""
        return ""

    def over_limit(self, call: Call, now: float, in_flight: int) -> Interference | None:
        """Asked for history requests only; one that may pass is taken for admitted."""
        return None

    def contact_known(self, contact_id: str) -> bool:
        """Whether history knows a contact that the world has."""
        return True

    def before_reply(self, call: Call) -> float:
        """Seconds by which the HTTP reply of a history request is held back."""
        return 0.0

    def delivery(self, call: HistoryCall) -> Delivery:
        """Asked as soon as a history request is accepted."""
        return Delivery()

    def cometd_session_over(self, age: float, accepted: int) -> str:
        """The name of the fault that ends a session of `age` seconds and `accepted` requests."""
        return ""

    def notification(self, call: HistoryCall, message: bytes) -> bytes | None:
        """The whole Bayeux message, just before it is queued; None drops it."""
        return message

    def reply(self, call: Call, body: bytes) -> Spoiled | None:
        """The whole reply, just before it goes out; asked of a policy that `identifies`."""
        return None

    def subscription_allowed(self, channel: str) -> bool:
        return True
