"""Sessions that end while they are in use, and what the server bears at once.

Knows ages, numbers of calls and the moments of the last second. Does not know cookies, client
ids or why somebody asks.
"""

from __future__ import annotations

import math
from collections import deque

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.faults import Call, Interference
from history_pipeline.simulator.faults_http import RetryAfter


class SessionEnds:
    """The ends that the switches name; "" is not yet."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._http_requests = behaviour.http_session_requests or math.inf
        self._http_life = _or_for_ever(behaviour.http_session_life)
        self._cometd_requests = behaviour.cometd_session_requests or math.inf
        self._cometd_life = _or_for_ever(behaviour.cometd_session_life)

    def http_session_over(self, age: float, served: int) -> str:
        if served >= self._http_requests:
            return "http_session_requests"
        return "http_session_life" if age > self._http_life else ""

    def cometd_session_over(self, age: float, accepted: int) -> str:
        if accepted >= self._cometd_requests:
            return "cometd_session_requests"
        return "cometd_session_life" if age > self._cometd_life else ""


def _or_for_ever(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


class Bounds:
    """Refuses history requests beyond the bounds; the refused do not count towards them."""

    def __init__(self, behaviour: Behaviour, retry_after: RetryAfter) -> None:
        self._per_second = behaviour.max_per_second
        self._in_flight = behaviour.max_in_flight
        self._status = int(behaviour.over_limit_status)
        self._retry_after = retry_after
        self._admitted: deque[float] = deque()
        self.active = self._per_second is not None or self._in_flight is not None

    def over_limit(self, call: Call, now: float, in_flight: int) -> Interference | None:
        """`now` in seconds; a second is the one that ends now."""
        if self._in_flight is not None and in_flight >= self._in_flight:
            return self._refusal(call, "over_in_flight")
        if self._per_second is not None:
            while self._admitted and self._admitted[0] <= now - 1.0:
                self._admitted.popleft()
            if len(self._admitted) >= self._per_second:
                return self._refusal(call, "over_per_second")
            self._admitted.append(now)
        return None

    def _refusal(self, call: Call, fault: str) -> Interference:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        refusal = Interference(self._status, b"Too busy", headers, fault=fault)
        return self._retry_after.added_to(refusal, call)
