"""What goes wrong, decided at named points.

Knows calls and what can be done to them; each point is asked once per call, in the order in
which they stand here. A policy is a subclass that overrides some points. Every choice is a
function of (seed, ordinal of the call), so that a run can be repeated. Does not do anything
itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import keyed

ARCHIVE_ABSENT = "UCS request failed"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `ordinal` counts all of them from 1; `path` has no query."""

    ordinal: int
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Interference:
    """A reply in place of the real one; with `cut`, the connection ends without a reply."""

    status: int = 503
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True, slots=True)
class HistoryCall:
    """An accepted history request. `contact_id` is None for RetrieveInteractionHistory."""

    reference_id: int
    contact_id: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a notification goes out: `delay` in seconds from acceptance, `copies` 0 is lost.

    With `early` it goes out before the HTTP reply; `delay` then counts for nothing.
    """

    delay: float = 0.0
    early: bool = False
    copies: int = 1
    error_message: str | None = None


class Faults:
    """The points; this class lets everything pass."""

    def before_call(self, call: Call) -> Interference | None:
        """Before login, CSRF and anything else is looked at."""
        return None

    def before_reply(self, call: Call) -> float:
        """Seconds by which the HTTP reply of a history request is held back."""
        return 0.0

    def subscription_allowed(self, channel: str) -> bool:
        return True

    def delivery(self, call: HistoryCall) -> Delivery:
        """Asked as soon as a history request is accepted."""
        return Delivery()

    def notification(self, call: HistoryCall, message: bytes) -> bytes:
        """The whole Bayeux message, just before it is queued."""
        return message

    def poll_reply(self, call: Call, body: bytes) -> bytes | None:
        """The whole reply of a CometD call; None cuts the connection instead."""
        return body


class SwitchedFaults(Faults):
    """Does what the switches of a `Behaviour` say."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def before_reply(self, call: Call) -> float:
        low, high = self._behaviour.reply_latency_ms
        return self._between(low, high, "reply", call.ordinal)

    def subscription_allowed(self, channel: str) -> bool:
        return not self._behaviour.subscription_refused

    def delivery(self, call: HistoryCall) -> Delivery:
        behaviour = self._behaviour
        draw = keyed("delivery", behaviour.seed, call.reference_id)
        low, high = behaviour.latency_ms
        absent = call.source == "archive" and not behaviour.archive
        return Delivery(
            delay=(low + (high - low) * draw.random()) / 1000,
            early=draw.random() < behaviour.early_share,
            copies=0 if draw.random() < behaviour.lost_share else 1,
            error_message=ARCHIVE_ABSENT if absent else None,
        )

    def _between(self, low: float, high: float, *key: Any) -> float:
        if high <= 0:
            return 0.0
        return (low + (high - low) * keyed(*key, self._behaviour.seed).random()) / 1000
