"""One question and what is known of its answer. Knows no connections and no time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from history_pipeline.errors import PipelineError
from history_pipeline.gws import wire
from history_pipeline.gws.wire import Notification

Answer = list[msgspec.Raw]
"""The records of one answer, undecoded."""


@dataclass(slots=True, eq=False)
class Inquiry:
    """`reference_ids` are those under which an answer may still come in this epoch; `accepted` is
    the newest attempt's, None while that is on its way to the server."""

    path: str
    body: bytes
    reference_ids: list[str] = field(default_factory=list)
    accepted: str | None = None
    answer: Answer | None = None
    muted_at: int | None = None
    """How many answers others had got when a mute channel last ended an attempt."""
    _waiter: asyncio.Future[Answer] | None = None

    @property
    def is_awaited(self) -> bool:
        """Accepted, and not answered yet."""
        return bool(self.reference_ids) and self.answer is None

    def waiter(self) -> asyncio.Future[Answer]:
        """A new attempt begins; the future is its end."""
        self.accepted = None
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def was_accepted(self, reference_id: str) -> None:
        self.accepted = reference_id
        self.reference_ids.append(reference_id)

    def deliver(self, notification: Notification) -> None:
        """A good answer settles the inquiry whichever attempt it is for, also between attempts;
        an errorMessage ends the newest attempt only: the older ones are spent already."""
        if not notification.failed:
            self.answer = notification.records
            if self._waits():
                self._waiter.set_result(notification.records)  # type: ignore[union-attr]
        elif notification.reference_id == self.accepted:
            self.fail(wire.answer_failed())

    def fail(self, reason: PipelineError) -> None:
        if self._waits():
            self._waiter.set_exception(reason)  # type: ignore[union-attr]

    def _waits(self) -> bool:
        return self._waiter is not None and not self._waiter.done()
