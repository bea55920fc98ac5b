"""The simulator's faults, with a note of what each one can cost the request that it falls on.

An attempt may be spent by a deadline, an `errorMessage`, a 5xx other than 503 or a reset; what is
noted here is an upper bound of that, worked out at the server and apart from the client's own
accounts.
"""

from __future__ import annotations

from collections.abc import Callable

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.faults import Call, Delivery, HistoryCall, Interference, Spoiled
from history_pipeline.simulator.faults_switched import SwitchedFaults
from history_pipeline_tests.chaos.network import Spent

_COSTS_AN_ATTEMPT = frozenset({"reset", "http_500", "truncated", "reset_after"})
_SLOW = 1.0
"""Seconds less than the deadline from which on a notification may be too late."""


class WatchedFaults(SwitchedFaults):
    """`deadline` is the client's, in seconds."""

    def __init__(
        self,
        behaviour: Behaviour,
        spent: Spent,
        deadline: float,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        super().__init__(behaviour, clock=clock, wall=wall)
        self.identifies = True
        self._ack = behaviour.ack
        self._spent = spent
        self._deadline = deadline

    def before_call(self, call: Call) -> Interference | None:
        interference = super().before_call(call)
        if interference is not None:
            self._note(call, interference.fault)
        return interference

    def reply(self, call: Call, body: bytes) -> Spoiled | None:
        spoiled = super().reply(call, body)
        if spoiled is not None:
            self._note(call, spoiled.fault)
        return spoiled

    def delivery(self, call: HistoryCall) -> Delivery:
        delivery = super().delivery(call)
        is_late = delivery.delay > self._deadline - _SLOW
        if not delivery.copies or delivery.error_message or is_late or delivery.after_epoch:
            self._spent.alone[call.identity] += 1
        return delivery

    def notification(self, call: HistoryCall, message: bytes) -> bytes | None:
        passed = super().notification(call, message)
        if passed is None:
            self._spent.alone[call.identity] += 1
        return passed

    def _note(self, call: Call, fault: str) -> None:
        if call.place == "history":
            self._spent.alone[call.identity] += fault in _COSTS_AN_ATTEMPT
        else:
            # the channel is held up, or what rode on a reply is gone: that can cost any request
            self._spent.all += 1
