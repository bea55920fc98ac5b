"""One question and what is known of its answer. Knows no connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from history_pipeline.errors import PipelineError
from history_pipeline.gws import wire
from history_pipeline.gws.wire import Notification

Answer = msgspec.Raw
"""The records of one answer: a JSON array, undecoded (see `payloads`)."""


@dataclass(slots=True, eq=False)
class Inquiry:
    """`reference_ids` are those under which an answer may still come in this epoch; `accepted` is
    the newest attempt's, None while that is on its way to the server. `owed` are those of this
    attempt that nothing has come for, and when each was accepted, by the loop's clock; `sending`
    counts those that are on their way to the server: a question can be in flight twice, with a
    canary. `seconds` is how long after its acceptance the last notification came."""

    path: str
    body: bytes
    reference_ids: list[str] = field(default_factory=list)
    accepted: str | None = None
    answer: Answer | None = None
    owed: dict[str, float] = field(default_factory=dict)
    sending: int = 0
    seconds: float | None = None
    is_next: bool = False
    """Its turn has come in vain: it comes before those who have not had one."""
    yielded: float = 0.0
    """Seconds for which it waited for a place while others' attempts came to an end."""
    muted_at: int | None = None
    """How many answers others had got when a mute channel last ended an attempt."""
    _waiter: asyncio.Future[Answer] | None = None
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_awaited(self) -> bool:
        """Accepted, and not answered yet."""
        return bool(self.reference_ids) and self.answer is None and self._waits()

    def waiter(self) -> asyncio.Future[Answer]:
        """A new attempt begins; the future is its end."""
        self.accepted = None
        self.owed.clear()
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def was_accepted(self, reference_id: str) -> None:
        self.accepted = reference_id
        self.reference_ids.append(reference_id)
        self.owes(reference_id)

    def owes(self, reference_id: str) -> None:
        """Something may come under this id."""
        self.owed[reference_id] = asyncio.get_running_loop().time()

    def came(self, reference_id: str) -> None:
        """Something has come under this id."""
        accepted_at = self.owed.pop(reference_id, None)
        if accepted_at is not None:
            self.seconds = asyncio.get_running_loop().time() - accepted_at
            self._stirred.set()

    def deliver(self, notification: Notification) -> None:
        """A good answer settles the inquiry whichever attempt it is for, also between attempts;
        an errorMessage ends the newest attempt only: the older ones are spent already."""
        accepted_at = self.owed.get(notification.reference_id)
        if accepted_at is not None:
            self.seconds = asyncio.get_running_loop().time() - accepted_at
        self.came(notification.reference_id)
        if not notification.failed:
            self.answer = notification.records
            if self._waits():
                self._waiter.set_result(notification.records)  # type: ignore[union-attr]
        elif notification.reference_id == self.accepted:
            self.fail(wire.answer_failed())

    def fail(self, reason: PipelineError) -> None:
        if self._waits():
            self._waiter.set_exception(reason)  # type: ignore[union-attr]

    def lost(self, reason: PipelineError) -> None:
        """Its epoch is over: nothing more will come for it."""
        self.owed.clear()
        self._stirred.set()
        self.fail(reason)

    async def quiet(self, deadline: float) -> None:
        """Returns when nothing of this attempt is in flight any more: it was answered, lost, or
        given up so many seconds after its acceptance."""
        while self.owed or self.sending:
            until = None if self.sending else max(self.owed.values()) + deadline
            self._stirred.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._stirred.wait()
            except TimeoutError:
                return

    def sent(self) -> None:
        """A request for it has come to the server, or has not: its HTTP exchange is over."""
        self.sending -= 1
        self._stirred.set()

    def _waits(self) -> bool:
        return self._waiter is not None and not self._waiter.done()
