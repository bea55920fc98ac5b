"""One CometD session as the server sees it: its queue, its subscriptions, its poll.

Knows which channels a pattern covers and what was not acknowledged yet. Does not know
meta messages, other clients or time's limits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def channel_matches(pattern: str, channel: str) -> bool:
    """`/a/*` is one segment more, `/a/**` any number of them (Bayeux, channel globbing)."""
    if pattern.endswith("/**"):
        return channel.startswith(pattern[:-2])
    if pattern.endswith("/*"):
        prefix = pattern[:-1]
        return channel.startswith(prefix) and "/" not in channel[len(prefix) :]
    return pattern == channel


def valid_channel(channel: Any) -> bool:
    if not isinstance(channel, str) or not channel.startswith("/"):
        return False
    segments = channel[1:].split("/")
    return all(segments) and not any("*" in segment for segment in segments[:-1])


@dataclass(slots=True, eq=False)
class Held:
    """A `/meta/connect` that waits for messages; `wake` is called when it should end."""

    client: Client
    message_id: Any
    until: float
    wake: Callable[[], None] = lambda: None
    superseded: bool = False


@dataclass(slots=True, eq=False)
class Client:
    """One CometD session. `idle_since` is when its last poll ended.

    `accepted` counts the requests that were accepted to be answered in it. `gone` is removed
    for whatever reason, `left` by its own disconnect.
    """

    client_id: str
    owner: str
    idle_since: float
    ack: bool
    opened_at: float = 0.0
    accepted: int = 0
    connected: bool = False
    gone: bool = False
    left: bool = False
    subscriptions: set[str] = field(default_factory=set)
    queue: deque[bytes] = field(default_factory=deque)
    batch: int = 0
    unacknowledged: deque[tuple[int, list[bytes]]] = field(default_factory=deque)
    held: Held | None = None

    def hears(self, channel: str) -> bool:
        return any(channel_matches(pattern, channel) for pattern in self.subscriptions)

    def acknowledge(self, message: Mapping[str, Any]) -> None:
        """Forgets the batches that arrived and queues the others again, oldest first."""
        extension = message.get("ext")
        seen = extension.get("ack") if isinstance(extension, Mapping) else None
        seen = seen if isinstance(seen, int) else 0
        while self.unacknowledged and self.unacknowledged[0][0] <= seen:
            self.unacknowledged.popleft()
        for _, messages in reversed(self.unacknowledged):
            self.queue.extendleft(reversed(messages))
        self.unacknowledged.clear()

    def take(self) -> list[bytes]:
        messages = list(self.queue)
        self.queue.clear()
        return messages
