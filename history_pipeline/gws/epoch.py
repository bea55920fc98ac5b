"""The life of one CometD client id, and what is asked and awaited in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from history_pipeline.bayeux.session import ClientSession
from history_pipeline.gws.correlation import Correlator
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.wire import Notification


@dataclass(slots=True, eq=False)
class Epoch:
    """`over` is set when it must end before its time, `heard` whenever the channel delivers;
    `heard_at` is when it last did, or began to owe something, in seconds of the loop's clock."""

    session: ClientSession
    correlator: Correlator[Inquiry, Notification] = field(default_factory=Correlator)
    inquiries: dict[int, Inquiry] = field(default_factory=dict)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    pause: float = 0.0
    heard_at: float = 0.0

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
