"""Pairs each accepted request with its notification. Pure.

Knows reference ids and in what order things happened. Does not know HTTP, Bayeux or time. One
correlator serves one epoch: reference ids mean nothing in the next one, so it is thrown away
with its epoch.

A notification can come before the HTTP reply that names its reference id. It is kept for as long
as it can belong to somebody: while a request that was sent before it came still waits for its
HTTP reply. An inquiry that is sent again keeps its earlier reference ids, so that a late answer
settles it as well.

Some servers count from 1 again when the CometD session is replaced, which the client learns later:
then two of its requests can have one reference id. So an id that is not above one that was known
when its request was sent is doubtful: its notification is held until every request that was sent
earlier has told its own id, or has ended without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Asker = TypeVar("Asker")
Payload = TypeVar("Payload")


@dataclass(slots=True)
class _Waiting(Generic[Asker]):
    asker: Asker
    ticket: int
    is_doubtful: bool


class Correlator(Generic[Asker, Payload]):
    """Both directions of the match. `keep_early` bounds the notifications kept for nobody yet."""

    def __init__(self, keep_early: int = 1024) -> None:
        self._keep_early = keep_early
        self._moment = 0
        self._highest = 0
        self._sent: dict[int, tuple[Asker, int]] = {}
        self._waiting: dict[str, _Waiting[Asker]] = {}
        self._early: dict[str, tuple[int, Payload]] = {}
        self._held: dict[str, Payload] = {}

    def sending(self, asker: Asker) -> int:
        """A request goes out. Returns a ticket for `accepted` or `not_accepted`."""
        self._moment += 1
        self._sent[self._moment] = asker, self._highest
        return self._moment

    def is_doubtful(self, ticket: int, reference_id: str) -> bool:
        """Whether the id is not above one that was known when the request was sent."""
        return reference_id.isdecimal() and int(reference_id) <= self._sent[ticket][1]

    def accepted(self, ticket: int, reference_id: str) -> Payload | None:
        """The HTTP reply came; returns the notification if that was faster."""
        is_doubtful = self.is_doubtful(ticket, reference_id)
        asker, _ = self._sent.pop(ticket)
        if reference_id.isdecimal():
            self._highest = max(self._highest, int(reference_id))
        came, early = self._early.pop(reference_id, (0, None))
        self._drop_orphans()
        waiting = _Waiting(asker, ticket, is_doubtful)
        if early is None or came < ticket:
            self._waiting[reference_id] = waiting
            return None
        if self._is_open(waiting):
            self._waiting[reference_id] = waiting
            self._held[reference_id] = early
            return None
        return early

    def not_accepted(self, ticket: int) -> None:
        """The HTTP reply came without a reference id, or never will."""
        if self._sent.pop(ticket, None) is not None:
            self._drop_orphans()

    def notified(self, reference_id: str, payload: Payload) -> Asker | None:
        """A notification came; returns who waits for it, if anybody is known to."""
        waiting = self._waiting.get(reference_id)
        if waiting is None:
            if self._sent and reference_id not in self._early:
                self._moment += 1
                self._early[reference_id] = (self._moment, payload)
                if len(self._early) > self._keep_early:
                    del self._early[next(iter(self._early))]
            return None
        if self._is_open(waiting):
            self._held.setdefault(reference_id, payload)
            return None
        del self._waiting[reference_id]
        return waiting.asker

    def keeps(self, reference_id: str) -> bool:
        """Whether its notification is kept: it may be that of a request that has not told its id,
        or it is held because it may be another's."""
        return reference_id in self._early or reference_id in self._held

    def released(self) -> Iterator[tuple[Asker, Payload]]:
        """Notifications that were held and are in doubt no more, with who waits for each."""
        for reference_id in list(self._held):
            waiting = self._waiting[reference_id]
            if not self._is_open(waiting):
                del self._waiting[reference_id]
                yield waiting.asker, self._held.pop(reference_id)

    def forget(self, reference_ids: list[str]) -> None:
        """Nobody waits for these any more."""
        for reference_id in reference_ids:
            self._waiting.pop(reference_id, None)
            self._held.pop(reference_id, None)

    @property
    def outstanding(self) -> int:
        """Reference ids that somebody waits for."""
        return len(self._waiting)

    def _is_open(self, waiting: _Waiting[Asker]) -> bool:
        """Whether the notification may be that of another request, which has not told its id."""
        # tickets are handed out in rising order, so the first is the oldest
        return waiting.is_doubtful and next(iter(self._sent), waiting.ticket) < waiting.ticket

    def _drop_orphans(self) -> None:
        if not self._early:
            return
        oldest = next(iter(self._sent), self._moment + 1)
        self._early = {ref: kept for ref, kept in self._early.items() if kept[0] > oldest}
