"""One attempt at a question, through all that interrupts it.

Interruptions spend no attempt: they have a bound in time of their own, after which the run ends.
Knows the loop's clock; does not know how many attempts there are.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from history_pipeline.errors import Interrupted, ServerSilent, Throttled
from history_pipeline.gws.inquiry import Answer, Inquiry

PATIENCE = 300.0
"""Seconds for which a server may be unusable, or one question be interrupted again and again,
before the run ends."""

_REST = 0.2


class Asker(Protocol):
    """Who asks: GwsClient, or a stand-in with the same errors."""

    async def attempt(self, inquiry: Inquiry) -> Answer: ...

    def forget(self, inquiry: Inquiry) -> None: ...


async def uninterrupted(asker: Asker, inquiry: Inquiry, patience: float) -> Answer:
    """The answer to one attempt, however often it was interrupted. Raises AttemptSpent,
    RequestRefused or ContactUnknown as `attempt` does, ServerUnusable when the run must end."""
    loop = asyncio.get_running_loop()
    since: float | None = None
    while True:
        try:
            return await asker.attempt(inquiry)
        except Interrupted as exc:
            # while it waits for others, which get on, it is not the server that is unusable
            now = loop.time() - inquiry.yielded
            since = now if since is None else since
            if now - since > patience:
                raise ServerSilent(f"a request was interrupted for {patience:g} s: {exc}") from exc
            if not isinstance(exc, Throttled):  # which has the pace wait already
                await asyncio.sleep(_REST)
