"""When the next request may go out: so many a second, and none while the server wants a rest.

Knows clocks and nothing of requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LONGEST_BACKOFF = 60.0

LEEWAY = 0.05
"""Seconds by which a request may be held up on its way, and the next not: without them, one that
comes late shares its second with one too many."""


class Pace:
    """Spaces requests evenly (0 is no bound), so no second of the server's ever holds more.
    Where it is not `is_fresh`, others may have asked until now: the first request keeps its
    distance too."""

    def __init__(self, per_second: float, *, is_fresh: bool = True) -> None:
        self._spacing = _spacing(per_second)
        self._next: float | None = 0.0 if is_fresh else None
        self._held_until = 0.0
        self._backoff = 0.5

    async def admit(self) -> None:
        """Returns when a request may be sent."""
        loop = asyncio.get_running_loop()
        if self._next is None:
            self._next = loop.time() + self._spacing
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


class PagePace:
    """The same for calls that block, one after the other. Others may have asked until now."""

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._spacing = _spacing(per_second)
        self._clock = clock
        self._sleep = sleep
        self._next = clock() + self._spacing

    def admit(self) -> None:
        """Returns when a request may be sent."""
        while (wait := self._next - self._clock()) > 0:
            self._sleep(wait)
        self._next = self._clock() + self._spacing


def _spacing(per_second: float) -> float:
    return (1 + LEEWAY) / per_second if per_second > 0 else 0.0
