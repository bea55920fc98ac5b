"""Notices a channel that accepts questions and delivers nothing.

Left alone, all that is awaited on it would be taken for failed, one deadline after the other.
After so many seconds of silence a canary is asked; if that is not answered either, the epoch
ends, which spends no attempts. Knows the loop's clock; does not know what a session is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from history_pipeline.errors import ChannelMute, PipelineError
from history_pipeline.gws.epoch import Epoch
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.pacing import Pace

log = logging.getLogger(__name__)

NOTICED_WITHIN = 1.9
"""Times the interval, to be noticed within twice of it."""


class Listener:
    """Listens for silence. `interval` is in seconds; `slots` bounds what is in flight, the canary
    included; `post` sends a question in an epoch."""

    def __init__(
        self,
        interval: float,
        pace: Pace,
        slots: asyncio.Semaphore,
        post: Callable[[Epoch, Inquiry], Awaitable[None]],
    ) -> None:
        self._interval = interval
        self._pace = pace
        self._slots = slots
        self._post = post
        self._proven: tuple[int, str, bytes] | None = None

    def answered(self, inquiry: Inquiry, records: int) -> None:
        """This question can be answered; the one with the shortest answer makes the canary."""
        if self._proven is None or records <= self._proven[0]:
            self._proven = records, inquiry.path, inquiry.body

    async def listen(self, epoch: Epoch) -> None:
        """Raises ChannelMute when the channel owes answers and delivers nothing."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(epoch.heard_at + self._interval - loop.time())
            if not epoch.correlator.outstanding:
                epoch.heard_at = loop.time()
            silent_since = epoch.heard_at
            if loop.time() >= silent_since + self._interval:
                log.warning("no notification for %g s; sending a canary", self._interval)
                until = silent_since + NOTICED_WITHIN * self._interval
                if not await self._is_heard(epoch, until):
                    raise _mute(until - silent_since)

    async def verify(self, epoch: Epoch) -> None:
        """Asks a canary alone, before anything else is asked. Raises ChannelMute."""
        if self._proven is None:
            return
        until = asyncio.get_running_loop().time() + self._interval
        if not await self._is_heard(epoch, until):
            raise _mute(self._interval)

    async def _is_heard(self, epoch: Epoch, until: float) -> bool:
        """Whether anything comes after a canary was sent."""
        canary, slot = self._canary(epoch)
        if canary is None:
            return True
        epoch.heard.clear()
        try:
            async with slot, asyncio.timeout_at(until):
                await self._pace.admit()
                with contextlib.suppress(PipelineError):
                    await self._post(epoch, canary)
                await epoch.heard.wait()
        except TimeoutError:
            return False
        finally:
            if id(canary) not in epoch.inquiries:
                epoch.forget(canary)
        return True

    def _canary(
        self, epoch: Epoch
    ) -> tuple[Inquiry | None, contextlib.AbstractAsyncContextManager[object]]:
        """A question that was answered before. With nothing to spare in flight, or before
        anything was answered, it is one of those that are awaited: asked twice, it is one still."""
        if self._proven is not None and not self._slots.locked():
            return Inquiry(*self._proven[1:]), self._slots
        awaited = (inquiry for inquiry in epoch.inquiries.values() if inquiry.is_awaited)
        return next(awaited, None), contextlib.nullcontext()


def _mute(seconds: float) -> ChannelMute:
    return ChannelMute(
        f"the channel delivered nothing for {seconds:.0f} s, not a canary's answer either; where "
        "answers take so long, raise GWS_CANARY_INTERVAL"
    )
