"""Posts a notice to the operator's webhook, with a few tries and within a bound in time.

The URL is a secret: no error, no log line and no cause of either holds it. Proxies and authorities
are those of the environment (HTTPS_PROXY, REQUESTS_CA_BUNDLE), for this is not the way to the GWS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from history_pipeline.errors import PipelineError

TRIES = 3
TIMEOUT = (3.0, 5.0)
"""Seconds to connect, and to wait for a piece of the reply."""

BOUND = 20.0
"""Seconds after which no other try begins; Dagster ends a sensor after sixty."""

_REST = 1.0


class Undelivered(PipelineError):
    """The webhook did not take a notice; it is kept for later."""


class Webhook:
    """`sleep` and `clock` are in seconds."""

    def __init__(
        self,
        url: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._sleep = sleep
        self._clock = clock

    def post(self, notice: Mapping[str, Any]) -> None:
        """Raises Undelivered when it has been tried often, or long, enough."""
        until = self._clock() + BOUND
        for number in range(1, TRIES + 1):
            complaint, may_mend = self._try(notice)
            if complaint is None:
                return
            if not may_mend or number == TRIES or self._clock() >= until:
                break
            self._sleep(_REST * number)
        raise Undelivered(
            f"the webhook does not take notices: {complaint}; check HISTORY_WEBHOOK_URL"
        )

    def _try(self, notice: Mapping[str, Any]) -> tuple[str | None, bool]:
        """What stands in the way, if anything, and whether another try may help."""
        try:
            # a redirect would hand the notice on to whoever; the body of the reply is not read
            with requests.post(
                self._url, json=notice, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as reply:
                status = reply.status_code
        except (requests.RequestException, ValueError) as exc:
            return f"no connection ({type(exc).__name__})", True
        if 200 <= status < 300:
            return None, False
        return f"HTTP {status}", status == 429 or status >= 500
