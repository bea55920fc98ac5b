"""What a run did, in numbers that do not grow with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from history_pipeline.history.scrutiny import Findings
from history_pipeline.model import Outcome, RequestState

_BASE, _STEP, _BUCKETS = 0.0005, 1.25, 64


class Latencies:
    """Seconds, in buckets that grow by a quarter: quantiles are right within 12 %."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._total = 0

    def add(self, seconds: float) -> None:
        bucket, edge = 0, _BASE
        while edge < seconds and bucket < _BUCKETS - 1:
            bucket, edge = bucket + 1, edge * _STEP
        self._counts[bucket] += 1
        self._total += 1

    def quantile(self, share: float) -> float | None:
        """Seconds below which this share lies; None where nothing was measured."""
        rank = share * self._total
        passed, edge = 0, _BASE
        for count in self._counts:
            passed += count
            if passed and passed >= rank:
                return edge
            edge *= _STEP
        return None


@dataclass(slots=True)
class Account:
    """Counts of one window, kept while it is collected; `interactions` and `rejects` at its end."""

    planned: int = 0
    states: Counter[RequestState] = field(default_factory=Counter)
    interactions: int = 0
    rejects: int = 0
    retries: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)
    seconds: float = 0.0
    asked: int = 0
    findings: Findings = field(default_factory=Findings)

    def add(self, outcome: Outcome) -> None:
        self.states[outcome.state] += 1
        self.retries += max(0, outcome.attempts - 1)
        if outcome.error is not None and outcome.state is RequestState.FAILED:
            self.errors[outcome.error] += 1
        if outcome.attempts:
            self.asked += 1
        if outcome.state is RequestState.ANSWERED:
            self.latencies.add(outcome.seconds)
