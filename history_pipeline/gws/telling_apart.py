"""Which reference ids are a question's own, where a server counts from 1 again after a handshake.

What is on its way when a CometD session is lost can be accepted after its end; some servers answer
that in the next session, under an id that a question of the next session has as well. So what was
given out around the change is remembered for as long as something may come for it. Knows the loop's
clock; does not know connections, nor how an epoch is opened.
"""

from __future__ import annotations

import asyncio
import contextlib

from history_pipeline.errors import Ambiguous, EpochLost
from history_pipeline.gws.epoch import Epoch, Unanswered
from history_pipeline.gws.inquiry import Inquiry

_GRACE = 5.0
"""Seconds for which an answer of a lost session may come, besides four times the slowest one."""

_FAR = 1_000
"""Whoever has counted so far, and begins the next session with a higher id, counts on."""

_LOOKS = 0.1


class ReferenceIds:
    """Of all epochs, one after the other. `deadline` is in seconds from acceptance."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._earlier = Unanswered()
        self._counts_again = False
        self._counts_on = False
        self._highest_earlier = 0
        self._nameless_until = 0.0
        self._was_used_up = False
        self._slowest = 0.0

    def accepted(
        self, epoch: Epoch, inquiry: Inquiry, reference_id: str, is_doubtful: bool = False
    ) -> None:
        """A question has got this id. Raises Ambiguous where an answer to another may come under
        it: asked again, the question gets one of its own; EpochLost where the epoch is over, or
        this shows that it is. An id `is_doubtful` that others had passed when it was asked for."""
        self._earlier.give_up(self._grace)
        if epoch.over.is_set():
            self._earlier.accepted(reference_id)
            raise EpochLost("the CometD session ended before the request was accepted")
        self._count(epoch, reference_id)
        epoch.unanswered.give_up(self._deadline)
        if reference_id in epoch.unanswered or (is_doubtful and self._counts_again):
            self._counts_again = True
            self._earlier.accepted(reference_id)
            raise EpochLost(f"the server has counted to {reference_id} again: a new session")
        epoch.unanswered.accepted(reference_id)
        is_earlier = reference_id in self._earlier
        self._counts_again |= is_earlier
        if is_earlier or (is_doubtful and epoch.nameless_at is not None):
            inquiry.owes(reference_id)
            epoch.ambiguous[reference_id] = inquiry
            raise Ambiguous(f"reference id {reference_id} may be another question's as well")

    def _count(self, epoch: Epoch, reference_id: str) -> None:
        if reference_id.isdecimal():
            number = int(reference_id)
            is_first = not epoch.highest_id
            self._counts_on |= is_first and number > self._highest_earlier >= _FAR
            epoch.highest_id = max(epoch.highest_id, number)

    def nameless(self, epoch: Epoch) -> None:
        """The HTTP reply of a question was lost. It may have been accepted, nobody knows under
        which id."""
        epoch.nameless_at = asyncio.get_running_loop().time()
        if epoch.over.is_set():
            self._nameless_until = epoch.nameless_at + self._grace

    def answered(self, epoch: Epoch, reference_id: str) -> None:
        """The notification for a question of this epoch has come."""
        epoch.is_used = True
        self._slowest = max(self._slowest, epoch.unanswered.notified(reference_id))

    def is_ambiguous(self, epoch: Epoch, reference_id: str) -> bool:
        """Whether a notification may be that of a lost session's question, and so nobody's."""
        inquiry = epoch.ambiguous.pop(reference_id, None)
        if inquiry is not None:
            self.answered(epoch, reference_id)
            inquiry.came(reference_id)
        return inquiry is not None

    def unmatched(self, reference_id: str) -> None:
        """A notification came that nobody of this epoch waits for."""
        self._earlier.notified(reference_id)

    def lost(self, epoch: Epoch) -> None:
        """What was accepted while its session was alive is lost with it; what came later may be
        the next one's."""
        self._earlier.take_over(epoch.unanswered, epoch.alive_at)
        self._was_used_up = not epoch.is_used
        self._highest_earlier = max(self._highest_earlier, epoch.highest_id)
        if epoch.nameless_at is not None and epoch.nameless_at >= epoch.alive_at:
            self._nameless_until = max(self._nameless_until, epoch.nameless_at + self._grace)

    async def until_clear(self, epoch: Epoch) -> None:
        """Returns when nothing of a lost session can come any more, or the epoch is over. Asked at
        once, and again for each ambiguous id, a short session would be used up for nothing."""
        loop = asyncio.get_running_loop()
        while self._counts_again and not epoch.over.is_set():
            until = self._earlier.last_given_up(self._grace)
            if until <= loop.time():
                return
            # looked at again and again: what comes meanwhile may be the last of it
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(until, loop.time() + _LOOKS)):
                    await epoch.over.wait()

    async def until_openable(self) -> None:
        """Returns when a session can be opened in which nothing comes for a question whose id
        nobody knows: it would be taken for another's. Where the last session was used up by
        waiting within it, the rest is waited for here as well."""
        until = self._nameless_until if self._counts_again or not self._counts_on else 0.0
        if self._counts_again and self._was_used_up:
            until = max(until, self._earlier.last_given_up(self._grace))
        await asyncio.sleep(until - asyncio.get_running_loop().time())

    @property
    def _grace(self) -> float:
        return min(self._deadline, _GRACE + 4 * self._slowest)
