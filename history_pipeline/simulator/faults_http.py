"""HTTP replies that go wrong.

Knows statuses, headers and bodies of failing replies, and which call gets one: each fault has
dice of its own, thrown for (what is asked, for the how-manieth time). Does not know sessions:
a 401 or 403 from here leaves the session as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import Dice, key_number, those_that_fall, thrown
from history_pipeline.simulator.faults import Call, Interference, Spoiled

CSRF_REFUSED = "Missing or invalid Csrf token"
_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
_HTML = {"Content-Type": "text/html; charset=utf-8"}
_PAGE = b"<!DOCTYPE html><html><body><h1>Under maintenance</h1></body></html>"

_WHOLE_REPLIES = {
    "reset": Interference(cut=True, fault="reset"),
    "http_401": Interference(
        401, b'{"statusCode":20,"statusMessage":"not authenticated"}', _JSON, fault="http_401"
    ),
    "http_403": Interference(403, CSRF_REFUSED.encode(), _TEXT, fault="http_403"),
    "http_429": Interference(429, b"Too Many Requests", _TEXT, fault="http_429"),
    "http_503": Interference(503, b"Service Unavailable", _TEXT, fault="http_503"),
    "http_500": Interference(
        500, b'{"statusCode":4,"statusMessage":"internal error"}', _JSON, fault="http_500"
    ),
    "html": Interference(200, _PAGE, _HTML, fault="html"),
}


class RetryAfter:
    """The header of a 429 or 503, in the forms that the switches name (RFC 9110, 10.2.3).

    A date is in whole seconds, so it is rounded up to lie at least as far ahead as was meant.
    """

    def __init__(self, behaviour: Behaviour, wall: Callable[[], float] = time.time) -> None:
        self._seconds = behaviour.retry_after
        self._forms = behaviour.retry_after_forms
        self._seed = behaviour.seed
        self._wall = wall

    def added_to(self, refusal: Interference, call: Call) -> Interference:
        drawn = key_number("retry_after", self._seed, call.identity, call.turn)
        form = self._forms[drawn % len(self._forms)]
        headers = dict(refusal.headers)
        if form == "seconds":
            headers["Retry-After"] = str(self._seconds)
        elif form == "date":
            moment = datetime.fromtimestamp(math.ceil(self._wall() + self._seconds), UTC)
            headers["Retry-After"] = format_datetime(moment, usegmt=True)
        return Interference(refusal.status, refusal.body, headers, fault=refusal.fault)


class HttpFaults:
    """What the switches say of single replies, at the places that they name."""

    def __init__(self, behaviour: Behaviour, wall: Callable[[], float] = time.time) -> None:
        def dice(fault: str) -> Dice:
            return Dice(fault, behaviour.seed, getattr(behaviour, f"{fault}_share"))

        self._places = frozenset(behaviour.http_faults_on)
        self._instead = thrown(map(dice, _WHOLE_REPLIES))
        self._afterwards = thrown((dice("truncated"), dice("reset_after")))
        self.active = bool(self._instead or self._afterwards)
        self._retry_after = RetryAfter(behaviour, wall)

    def before_call(self, call: Call) -> Interference | None:
        if call.place not in self._places:
            return None
        fallen = those_that_fall(self._instead, call.identity, call.turn)
        if not fallen:
            return None
        interference = _WHOLE_REPLIES[fallen[0]]
        holds_back = interference.fault in ("http_429", "http_503")
        return self._retry_after.added_to(interference, call) if holds_back else interference

    def reply(self, call: Call, body: bytes) -> Spoiled | None:
        if call.place not in self._places:
            return None
        match those_that_fall(self._afterwards, call.identity, call.turn):
            case ("truncated", *_):
                return Spoiled("truncated", body[: len(body) // 2])
            case ("reset_after",):
                return Spoiled("reset_after", body, reset=True)
        return None
