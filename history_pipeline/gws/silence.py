"""Notices a channel that accepts questions and delivers nothing.

Left alone, all that is awaited on it would be taken for failed, one deadline after the other.
After so many seconds of silence a canary is asked, and others after it, for one answer can be lost;
if none is answered either, the epoch ends, which spends no attempts. Knows the loop's clock; does
not know what a session is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from history_pipeline.errors import ChannelMute, EpochLost, PipelineError
from history_pipeline.gws.epoch import Epoch
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.places import Places

log = logging.getLogger(__name__)

NOTICED_WITHIN = 1.9
"""Times the interval, to be noticed within twice of it."""

CANARIES = 3
"""At most, before a channel is taken for mute."""

_LOOKS = 0.2
"""Seconds until it is looked again for a canary."""


class Listener:
    """Listens for silence. `interval` and `deadline` are in seconds; `slots` bounds what is in
    flight, the canary included; `post` sends a question in an epoch."""

    def __init__(
        self,
        interval: float,
        deadline: float,
        pace: Pace,
        slots: Places,
        post: Callable[[Epoch, Inquiry], Awaitable[None]],
    ) -> None:
        self._interval = interval
        self._deadline = deadline
        self._canaries: dict[asyncio.Task[None], Inquiry] = {}
        self._pace = pace
        self._slots = slots
        self._post = post
        self._proven: tuple[int, str, bytes] | None = None

    def answered(self, inquiry: Inquiry, size: int) -> None:
        """This question can be answered, in so many bytes; the one with the shortest answer makes
        the canary."""
        if self._proven is None or size <= self._proven[0]:
            self._proven = size, inquiry.path, inquiry.body

    async def listen(self, epoch: Epoch) -> None:
        """Raises ChannelMute when the channel owes answers and delivers nothing."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(epoch.heard_at + self._interval - loop.time())
            if not epoch.correlator.outstanding:
                epoch.heard_at = loop.time()
            silent_since = epoch.heard_at
            if loop.time() >= silent_since + self._interval:
                until = loop.time() + (NOTICED_WITHIN - 1) * self._interval
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
        """Whether anything comes after a canary was sent, or can be, until then."""
        loop = asyncio.get_running_loop()
        epoch.heard.clear()
        for left in range(CANARIES, 0, -1):
            canary, slot = self._canary(epoch)
            if left == CANARIES and canary is None:
                # whoever holds the places is on the way to the server, or waits for what was
                # given up
                await asyncio.sleep(_LOOKS)
                return True
            # those that follow need places of their own: twice is enough to ask what is awaited
            if canary is not None and (left == CANARIES or slot is self._slots):
                log.warning("nothing is heard; sending a canary")
                asking = asyncio.create_task(self._ask(epoch, canary, slot), name="canary")
                self._canaries[asking] = canary
                asking.add_done_callback(self._canaries.pop)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(loop.time() + (until - loop.time()) / left):
                    await epoch.heard.wait()
                    return True
        return False

    async def _ask(
        self, epoch: Epoch, canary: Inquiry, slot: contextlib.AbstractAsyncContextManager[object]
    ) -> None:
        """Whatever was heard meanwhile, the canary keeps its place until nothing more can come."""
        is_shared = id(canary) in epoch.inquiries
        try:
            async with slot:
                await self._pace.admit()
                if epoch.over.is_set() or (is_shared and not canary.is_awaited):
                    return
                with contextlib.suppress(PipelineError):
                    await self._post(epoch, canary)
                if not is_shared:
                    await canary.quiet(self._deadline)
        finally:
            if not is_shared:
                epoch.forget(canary)

    def epoch_lost(self) -> None:
        """Nothing that was asked in it will be answered. A canary on its way to the server arrives
        there, and its reference id is known then."""
        for canary in self._canaries.values():
            canary.lost(EpochLost("the CometD session ended"))

    async def stop(self) -> None:
        canaries = list(self._canaries)
        for asking in canaries:
            asking.cancel()
        await asyncio.gather(*canaries, return_exceptions=True)

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
