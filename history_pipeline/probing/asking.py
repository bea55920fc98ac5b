"""Sends a question of `check` and tells how it ended. Knows the client and the time that is left.

Decides nothing: what an ending means is for the pure modules of this room.
"""

from __future__ import annotations

import asyncio
from datetime import date

from history_pipeline.errors import (
    AnswerFailed,
    AttemptSpent,
    ContactUnknown,
    DeadlineExceeded,
    PipelineError,
    RequestRefused,
)
from history_pipeline.gws import wire
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.insisting import Asker, uninterrupted
from history_pipeline.model import Source
from history_pipeline.probing.seen import Ending, Reply, seen

_TRIES = 2
"""An error may be a moment's; one that comes twice is taken for the server's answer."""

_ENDINGS: dict[type[PipelineError], Ending] = {
    ContactUnknown: Ending.UNKNOWN,
    RequestRefused: Ending.REFUSED,
    AnswerFailed: Ending.ERROR,
    DeadlineExceeded: Ending.LATE,
    AttemptSpent: Ending.FAILED,
}


class Questioner:
    """Asks one server in one session. `until` is when all has to be over, in seconds of the loop's
    clock; `seconds` holds how long each answer took. Methods raise ServerUnusable and no other."""

    def __init__(self, client: Asker, until: float) -> None:
        self._client = client
        self.until = until
        self.seconds: list[float] = []

    async def about(
        self,
        contact_id: str,
        first: date,
        last: date,
        *,
        source: Source = Source.MAIN,
        ascending: bool = True,
    ) -> Reply:
        """RetrieveContactHistory for these days, both included as far as the server includes
        them."""
        body = wire.probe_body(first, last, source, ascending=ascending)
        return await self.insist(wire.history_path(contact_id), body)

    async def about_all(self, first: date, last: date, most: int) -> Reply:
        """RetrieveInteractionHistory: the newest of these days."""
        body = wire.probe_body(first, last, Source.MAIN, ascending=False, max_size=most)
        return await self.insist(wire.INTERACTIONS_PATH, body)

    async def insist(self, path: str, body: bytes) -> Reply:
        """Asks again where an error may be a moment's."""
        reply = await self.once(path, body)
        for _ in range(_TRIES - 1):
            if reply.ending not in (Ending.ERROR, Ending.FAILED):
                break
            reply = await self.once(path, body)
        return reply

    async def once(self, path: str, body: bytes) -> Reply:
        inquiry = Inquiry(path, body)
        left = self.until - asyncio.get_running_loop().time()
        if left <= 0:
            return Reply(Ending.TIME_UP)
        try:
            async with asyncio.timeout_at(self.until):
                answer = await uninterrupted(self._client, inquiry, left)
        except TimeoutError:
            return Reply(Ending.TIME_UP)
        except tuple(_ENDINGS) as exc:
            ending = next(found for kind, found in _ENDINGS.items() if isinstance(exc, kind))
            return Reply(ending, reason="" if ending is Ending.ERROR else str(exc))
        finally:
            self._client.forget(inquiry)
        if inquiry.seconds is not None:
            self.seconds.append(inquiry.seconds)
        return Reply(
            Ending.ANSWERED,
            seen(answer),
            reference_id=inquiry.accepted,
            seconds=inquiry.seconds,
        )
