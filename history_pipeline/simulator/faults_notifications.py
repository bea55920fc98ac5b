"""Notifications that go wrong.

Knows what becomes of the answer to an accepted request: each fault has dice of its own, thrown
for (what is asked, for the how-manieth time), a failing contact's for its id. Does not know
queues or sessions.

What excludes what: a lost notification is nothing else; one that outlives its epoch is neither
early nor late nor reordered; a late one is not early. Strangers' messages come in any case.
"""

from __future__ import annotations

from collections.abc import Callable

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.draws import Dice, key_number, keyed, those_that_fall, thrown
from history_pipeline.simulator.faults import (
    ARCHIVE_ABSENT,
    Call,
    Delivery,
    HistoryCall,
    Spoiled,
)
from history_pipeline.simulator.strangers import OTHER_TYPES

FAILED = "UCS request failed"
_NAMES = (
    "lost", "after_epoch", "late", "early", "doubled", "reordered", "error", "foreign",
    "other_type",
)  # fmt: skip
_EXCLUDED_BY = {
    "lost": {"after_epoch", "late", "early", "doubled", "reordered", "error"},
    "after_epoch": {"late", "early", "reordered"},
    "late": {"early"},
}
_OTHER_TYPES = tuple(OTHER_TYPES)
_NOTHING_CARRIED = b'[{"channel":"/meta/'
"""How a reply begins whose first message is a meta reply: data messages stand before those."""


class NotificationFaults:
    """What the switches say of single notifications."""

    def __init__(self, behaviour: Behaviour) -> None:
        seed = behaviour.seed
        self._behaviour = behaviour
        self._dice = thrown(
            Dice(name, seed, getattr(behaviour, f"{name}_share")) for name in _NAMES
        )
        self._failing = Dice("failing_contact", seed, behaviour.failing_contact_share)
        self._failing_ids = frozenset(behaviour.failing_contacts)
        self.active = bool(self._dice)

    def always_fails(self, contact_id: str) -> bool:
        """Whether this contact is answered with an errorMessage whenever it is asked about."""
        return contact_id in self._failing_ids or self._failing.falls(contact_id)

    def delivery(self, call: HistoryCall) -> Delivery:
        behaviour = self._behaviour
        fallen = self._fallen(call) if self.active else frozenset()
        faults = tuple(name for name in _NAMES if name in fallen)
        error_message = FAILED if "error" in fallen else None
        if call.contact_id is not None and self.always_fails(call.contact_id):
            error_message = FAILED
            faults += ("failing_contact",)
        if call.source == "archive" and not behaviour.archive:
            error_message = ARCHIVE_ABSENT
        late = behaviour.late_seconds if "late" in fallen else 0.0
        return Delivery(
            delay=late + self._latency(call),
            early="early" in fallen,
            copies=0 if "lost" in fallen else 2 if "doubled" in fallen else 1,
            error_message=error_message,
            after_epoch="after_epoch" in fallen,
            overtaken_within=(
                behaviour.reordered_wait_ms / 1000 if "reordered" in fallen else None
            ),
            foreign=int("foreign" in fallen),
            other_type=self._other_type(call) if "other_type" in fallen else None,
            faults=faults,
        )

    def _fallen(self, call: HistoryCall) -> frozenset[str]:
        fallen = set(those_that_fall(self._dice, call.identity, call.turn))
        for name, excluded in _EXCLUDED_BY.items():
            if name in fallen:
                fallen -= excluded
        return frozenset(fallen)

    def _latency(self, call: HistoryCall) -> float:
        """Keyed by the ordinal: a latency is no fault, and costs no memory of what was asked."""
        low, high = self._behaviour.latency_ms
        if high <= 0:
            return 0.0
        draw = keyed("delivery", self._behaviour.seed, call.ordinal)
        return (low + (high - low) * draw.random()) / 1000

    def _other_type(self, call: HistoryCall) -> str:
        drawn = key_number("other type", self._behaviour.seed, call.identity, call.turn)
        return _OTHER_TYPES[drawn % len(_OTHER_TYPES)]


class CutReplies:
    """Poll replies that carry notifications and end inside their body.

    With the ack extension the notifications come again; without it they are lost. The dice are
    thrown for (the CometD session, its how-manieth poll); `cut_replies` counts the replies
    that carry anything, of all sessions together.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self._dice = Dice("cut_reply", behaviour.seed, behaviour.cut_reply_share)
        self._listed = frozenset(behaviour.cut_replies)
        self._carrying = 0
        self.active = bool(behaviour.cut_reply_share or self._listed)

    def reply(self, call: Call, body: bytes) -> Spoiled | None:
        if not self.active or call.place != "polls" or body.startswith(_NOTHING_CARRIED):
            return None
        self._carrying += 1
        if self._carrying in self._listed or self._dice.falls(call.identity, call.turn):
            return Spoiled("cut_reply", body, sent=len(body) // 2)
        return None


class MuteChannel:
    """A channel that accepts everything and delivers nothing, for a while or for good.

    From the `mute_from`-th accepted request on: what is accepted while it is mute is never
    answered, and what was accepted before and comes due while it is mute is dropped, too.
    """

    def __init__(self, behaviour: Behaviour, clock: Callable[[], float]) -> None:
        self._from = behaviour.mute_from
        self._seconds = behaviour.mute_seconds
        self._clock = clock
        self._since: float | None = None
        self.active = behaviour.mute_from is not None

    def accepts(self, ordinal: int) -> None:
        """Begins where it should."""
        if self._since is None and self._from is not None and ordinal >= self._from:
            self._since = self._clock()

    def is_mute(self) -> bool:
        if self._since is None:
            return False
        return self._seconds is None or self._clock() < self._since + self._seconds
