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

_LOOKS = 0.1


class ReferenceIds:
    """Of all epochs, one after the other. `deadline` is in seconds from acceptance."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._earlier = Unanswered()
        self._counts_again = False
        self._slowest = 0.0

    def accepted(self, epoch: Epoch, inquiry: Inquiry, reference_id: str) -> None:
        """A question has got this id. Raises Ambiguous where an answer of a lost session may come
        under it: asked again, the question gets one of its own; EpochLost where the epoch is over,
        or this shows that it is."""
        self._earlier.give_up(self._grace)
        if epoch.over.is_set():
            self._earlier.accepted(reference_id)
            raise EpochLost("the CometD session ended before the request was accepted")
        epoch.unanswered.give_up(self._deadline)
        if reference_id in epoch.unanswered:
            self._counts_again = True
            self._earlier.accepted(reference_id)
            raise EpochLost(f"the server has counted to {reference_id} again: a new session")
        epoch.unanswered.accepted(reference_id)
        if reference_id in self._earlier:
            self._counts_again = True
            inquiry.owes(reference_id)
            epoch.ambiguous[reference_id] = inquiry
            raise Ambiguous(f"reference id {reference_id} is an earlier session's as well")

    def answered(self, epoch: Epoch, reference_id: str) -> None:
        """The notification for a question of this epoch has come."""
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

    @property
    def _grace(self) -> float:
        return min(self._deadline, _GRACE + 4 * self._slowest)
