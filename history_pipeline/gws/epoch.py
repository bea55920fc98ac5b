"""The life of one CometD client id, and what is asked and awaited in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from history_pipeline.bayeux.session import ClientSession
from history_pipeline.gws.correlation import Correlator
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.wire import Notification


class Unanswered:
    """Reference ids that were accepted and that nothing has come for, for as long as something may
    come. `times` are those of their acceptance, in seconds of the loop's clock."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}

    def accepted(self, reference_id: str) -> None:
        self._times.pop(reference_id, None)  # the newest stand last
        self._times[reference_id] = asyncio.get_running_loop().time()

    def notified(self, reference_id: str) -> float:
        """Something has come. Returns how many seconds after the acceptance; 0 where that is not
        known."""
        moment = self._times.pop(reference_id, None)
        return 0.0 if moment is None else asyncio.get_running_loop().time() - moment

    def take_over(self, others: Unanswered, since: float) -> None:
        """What is unanswered in an epoch that is over, and was accepted after that moment."""
        for reference_id, moment in others._times.items():
            if moment < since:
                continue
            self._times[reference_id] = max(moment, self._times.get(reference_id, moment))
        self._times = dict(sorted(self._times.items(), key=lambda each: each[1]))

    def give_up(self, deadline: float) -> None:
        """Forgets what was accepted longer ago than that."""
        before = asyncio.get_running_loop().time() - deadline
        while self._times and (oldest := next(iter(self._times.items())))[1] < before:
            del self._times[oldest[0]]

    def last_given_up(self, deadline: float) -> float:
        """When all of it is given up, in seconds of the loop's clock; 0 where there is nothing."""
        return next(reversed(self._times.values())) + deadline if self._times else 0.0

    def __contains__(self, reference_id: str) -> bool:
        return reference_id in self._times


@dataclass(slots=True, eq=False)
class Epoch:
    """`over` is set when it must end before its time, `heard` whenever the channel delivers;
    `heard_at` is when it last did, or began to owe something, in seconds of the loop's clock;
    `alive_at` when the last connect was sent that the server's session has answered, `nameless_at`
    when the last HTTP reply was lost that would have told a reference id; it `is_used` as soon as a
    question was answered in it."""

    session: ClientSession
    correlator: Correlator[Inquiry, Notification] = field(default_factory=Correlator)
    inquiries: dict[int, Inquiry] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    pause: float = 0.0
    heard_at: float = 0.0
    alive_at: float = 0.0
    ambiguous: dict[str, Inquiry] = field(default_factory=dict)
    unanswered: Unanswered = field(default_factory=Unanswered)
    nameless_at: float | None = None
    highest_id: int = 0
    is_used: bool = False

    def delivered(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        self.heard.set()

    def owes(self) -> None:
        """A question was accepted."""
        if not self.correlator.outstanding:
            self.heard_at = asyncio.get_running_loop().time()

    def forget(self, inquiry: Inquiry) -> None:
        """Nobody waits for this answer any more."""
        self.inquiries.pop(id(inquiry), None)
        self.correlator.forget(inquiry.reference_ids)
