"""The places for what is in flight: as many as the limiter, and the hours, allow at this moment.

Who comes first is served first, and whose turn has come in vain is next. A limit that falls takes
nobody's place away: as many as are over it are not given out again. Knows the loop's clock; what
the limit is, others decide.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from history_pipeline.gws.limiting import Limiter

LOOKS = 1.0
"""Seconds after which the hours are looked at again."""


class Places:
    """`bound` tells how many are allowed by the hours, None where those say nothing."""

    def __init__(self, limiter: Limiter, bound: Callable[[], int | None] | None = None) -> None:
        self._limiter = limiter
        self._bound = bound
        self._looked_at = -LOOKS
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def locked(self) -> bool:
        """Whether whoever comes now has to wait."""
        return bool(self._waiting) or self._taken >= self._allowed()

    async def __aenter__(self) -> None:
        await self.take()

    async def take(self, *, is_next: bool = False) -> None:
        """Returns when there is a place, which is to be given back."""
        if not self.locked():
            self._taken += 1
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if is_next:
            self._waiting.appendleft(place)
        else:
            self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._taken -= 1  # it was given, and nobody came for it
            else:
                with suppress(ValueError):  # it was passed over, as it was cancelled
                    self._waiting.remove(place)
            self._give_out()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give_back()

    def give_back(self) -> None:
        self._taken -= 1
        self._give_out()

    def _give_out(self) -> None:
        while self._waiting and self._taken < self._allowed():
            place = self._waiting.popleft()
            if not place.done():
                self._taken += 1
                place.set_result(None)

    def _allowed(self) -> int:
        if self._bound is not None:
            now = asyncio.get_running_loop().time()
            if now >= self._looked_at + LOOKS:
                self._looked_at = now
                allowed = self._bound()
                self._limiter.bound(self._limiter.most if allowed is None else allowed)
        return self._limiter.limit
