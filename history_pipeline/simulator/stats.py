"""What the server has seen, for tests and for the curious.

Knows counts, and the most that happened at once or within one second. Does not know why.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from history_pipeline.simulator.archiver import Archiver


class Stats:
    """Counters over all nodes; `snapshot()` is what `GET /simulator/stats` tells.

    A history request is in flight from its acceptance until its notification is queued for the
    poll, is lost at the moment it was due, or is dropped with its CometD session.
    `most_per_second` counts history requests, `most_asked_per_second` pages of contacts with them.
    `notifications_lost` are those that were never sent, a mute channel's included. `faults`
    counts what was injected, by the name of the switch; `archiver` knows what it has moved.
    """

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.rejected: Counter[int] = Counter()
        self.refusals: Counter[int] = Counter()
        self.notifications_sent = 0
        self.notifications_lost = 0
        self.notifications_early = 0
        self.notifications_undeliverable = 0
        self.notifications_dropped = 0
        self.accepted_requests = 0
        self.faults: Counter[str] = Counter()
        self.archiver: Archiver | None = None
        self.handshakes = 0
        self.http_sessions = 0
        self.cometd_sessions = 0
        self.http_sessions_expired = 0
        self.cometd_sessions_expired = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self._history = _Second()
        self._asked = _Second()

    def asked(self, operation: str, now: float) -> None:
        """A history request came in, whatever becomes of it."""
        self.operations[operation] += 1
        self._history.seen(now)
        self._asked.seen(now)

    def listed(self, now: float) -> None:
        """A page of contacts was read."""
        self._asked.seen(now)

    def accepted(self) -> int:
        """A history request was accepted, the how-manieth; it is in flight until `settled`."""
        self.accepted_requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.accepted_requests

    def settled(self) -> None:
        """A history request was answered, or its notification was dropped."""
        self.in_flight -= 1

    def inject(self, *faults: str, times: int = 1) -> None:
        """These faults were brought about; the empty name counts for nothing."""
        for name in filter(None, faults):
            self.faults[name] += times

    def snapshot(self) -> dict[str, Any]:
        return {
            "operations": dict(self.operations),
            "historyRequests": sum(
                count for name, count in self.operations.items() if name.startswith("Retrieve")
            ),
            "acceptedRequests": self.accepted_requests,
            "inFlight": self.in_flight,
            "mostInFlight": self.most_in_flight,
            "mostPerSecond": self._history.most,
            "mostAskedPerSecond": self._asked.most,
            "notifications": {
                "sent": self.notifications_sent,
                "lost": self.notifications_lost,
                "early": self.notifications_early,
                "undeliverable": self.notifications_undeliverable,
                "dropped": self.notifications_dropped,
            },
            "handshakes": self.handshakes,
            "httpSessions": {"opened": self.http_sessions, "expired": self.http_sessions_expired},
            "cometdSessions": {
                "opened": self.cometd_sessions,
                "expired": self.cometd_sessions_expired,
            },
            "archived": self.archiver.moved if self.archiver is not None else 0,
            "faults": dict(sorted(self.faults.items())),
            "rejectedByStatus": {str(k): v for k, v in sorted(self.rejected.items())},
            "refusedByStatusCode": {str(k): v for k, v in sorted(self.refusals.items())},
        }


class _Second:
    """The most that was ever seen within a second."""

    def __init__(self) -> None:
        self.most = 0
        self._recent: deque[float] = deque()

    def seen(self, now: float) -> None:
        recent = self._recent
        recent.append(now)
        while recent[0] <= now - 1.0:
            recent.popleft()
        self.most = max(self.most, len(recent))
