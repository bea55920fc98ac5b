"""Pairs each accepted request with its notification. Pure.

Knows reference ids and in what order things happened. Does not know HTTP, Bayeux or time. One
correlator serves one epoch: reference ids mean nothing in the next one, so it is thrown away
with its epoch.

A notification can come before the HTTP reply that names its reference id. It is kept for as long
as it can belong to somebody: while a request that was sent before it came still waits for its
HTTP reply. An inquiry that is sent again keeps its earlier reference ids, so that a late answer
settles it as well.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Asker = TypeVar("Asker")
Payload = TypeVar("Payload")


class Correlator(Generic[Asker, Payload]):
    """Both directions of the match. `keep_early` bounds the notifications kept for nobody yet."""

    def __init__(self, keep_early: int = 1024) -> None:
        self._keep_early = keep_early
        self._moment = 0
        self._sent: dict[int, Asker] = {}
        self._waiting: dict[str, Asker] = {}
        self._early: dict[str, tuple[int, Payload]] = {}

    def sending(self, asker: Asker) -> int:
        """A request goes out. Returns a ticket for `accepted` or `not_accepted`."""
        self._moment += 1
        self._sent[self._moment] = asker
        return self._moment

    def accepted(self, ticket: int, reference_id: str) -> Payload | None:
        """The HTTP reply came; returns the notification if that was faster."""
        asker = self._sent.pop(ticket)
        came, early = self._early.pop(reference_id, (0, None))
        self._drop_orphans()
        if early is not None and came > ticket:
            return early
        self._waiting[reference_id] = asker
        return None

    def not_accepted(self, ticket: int) -> None:
        """The HTTP reply came without a reference id, or never will."""
        if self._sent.pop(ticket, None) is not None:
            self._drop_orphans()

    def notified(self, reference_id: str, payload: Payload) -> Asker | None:
        """A notification came; returns who waits for it, if anybody is known to."""
        asker = self._waiting.pop(reference_id, None)
        if asker is None and self._sent and reference_id not in self._early:
            self._moment += 1
            self._early[reference_id] = (self._moment, payload)
            if len(self._early) > self._keep_early:
                del self._early[next(iter(self._early))]
        return asker

    def forget(self, reference_ids: list[str]) -> None:
        """Nobody waits for these any more."""
        for reference_id in reference_ids:
            self._waiting.pop(reference_id, None)

    @property
    def outstanding(self) -> int:
        """Reference ids that somebody waits for."""
        return len(self._waiting)

    def _drop_orphans(self) -> None:
        if not self._early:
            return
        # tickets are handed out in rising order, so the first is the oldest
        oldest = next(iter(self._sent), self._moment + 1)
        self._early = {ref: kept for ref, kept in self._early.items() if kept[0] > oldest}
