"""When the next request may go out: so many a second, and none while the server wants a rest.

Knows the event loop's clock and nothing of requests.
"""

from __future__ import annotations

import asyncio

LONGEST_BACKOFF = 60.0


class Pace:
    """Spaces requests `1 / per_second` apart (0 is no bound), so no second ever holds more."""

    def __init__(self, per_second: float) -> None:
        self._spacing = 1 / per_second if per_second > 0 else 0.0
        self._next = 0.0
        self._held_until = 0.0
        self._backoff = 0.5

    async def admit(self) -> None:
        """Returns when a request may be sent."""
        loop = asyncio.get_running_loop()
        while True:
            mine = max(loop.time(), self._next, self._held_until)
            if mine > loop.time():
                # looked at again afterwards: a rest may begin, or others pass, meanwhile
                await asyncio.sleep(mine - loop.time())
                continue
            self._next = mine + self._spacing
            return

    def hold(self, seconds: float | None) -> float:
        """The server asked for a rest, of so many seconds if it said so. Returns its length."""
        if seconds is None:
            self._backoff = min(self._backoff * 2, LONGEST_BACKOFF)
            seconds = self._backoff
        now = asyncio.get_running_loop().time()
        self._held_until = max(self._held_until, now + seconds)
        return seconds

    def relax(self) -> None:
        """A request was accepted: the next rest without a length is a short one again."""
        self._backoff = 0.5
