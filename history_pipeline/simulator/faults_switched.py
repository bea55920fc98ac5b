"""The policy that does what the switches of a `Behaviour` say.

Knows which module decides about which point. Does not decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import Dice, keyed
from history_pipeline.simulator.faults import (
    Call,
    Delivery,
    Faults,
    HistoryCall,
    Interference,
    Spoiled,
)
from history_pipeline.simulator.faults_http import HttpFaults, RetryAfter
from history_pipeline.simulator.faults_notifications import (
    CutReplies,
    MuteChannel,
    NotificationFaults,
)
from history_pipeline.simulator.faults_sessions import Bounds, SessionEnds

MUTED = Delivery(copies=0, faults=("mute",))


class SwitchedFaults(Faults):
    """`clock` is for lengths of time, `wall` for dates in replies."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._behaviour = behaviour
        self._http = HttpFaults(behaviour, wall)
        self._notifications = NotificationFaults(behaviour)
        self._cut_replies = CutReplies(behaviour)
        self._mute = MuteChannel(behaviour, clock)
        self._ends = SessionEnds(behaviour)
        self._bounds = Bounds(behaviour, RetryAfter(behaviour, wall))
        self._unknown = Dice("unknown_contact", behaviour.seed, behaviour.unknown_contact_share)
        self.identifies = (
            self._http.active
            or self._notifications.active
            or self._cut_replies.active
            or (self._bounds.active and len(behaviour.retry_after_forms) > 1)
        )

    def before_call(self, call: Call) -> Interference | None:
        return self._http.before_call(call)

    def http_session_over(self, age: float, served: int) -> str:
        return self._ends.http_session_over(age, served)

    def over_limit(self, call: Call, now: float, in_flight: int) -> Interference | None:
        return self._bounds.over_limit(call, now, in_flight) if self._bounds.active else None

    def contact_known(self, contact_id: str) -> bool:
        return not self._unknown.falls(contact_id)

    def always_fails(self, contact_id: str) -> bool:
        """Whether this contact is answered with an errorMessage whenever it is asked about."""
        return self._notifications.always_fails(contact_id)

    def before_reply(self, call: Call) -> float:
        low, high = self._behaviour.reply_latency_ms
        if high <= 0:
            return 0.0
        draw = keyed("reply", call.ordinal, self._behaviour.seed)
        return (low + (high - low) * draw.random()) / 1000

    def delivery(self, call: HistoryCall) -> Delivery:
        if self._mute.active:
            self._mute.accepts(call.ordinal)
            if self._mute.is_mute():
                return MUTED
        return self._notifications.delivery(call)

    def cometd_session_over(self, age: float, accepted: int) -> str:
        return self._ends.cometd_session_over(age, accepted)

    def notification(self, call: HistoryCall, message: bytes) -> bytes | None:
        return None if self._mute.is_mute() else message

    def reply(self, call: Call, body: bytes) -> Spoiled | None:
        return self._cut_replies.reply(call, body) or self._http.reply(call, body)

    def subscription_allowed(self, channel: str) -> bool:
        return not self._behaviour.subscription_refused
