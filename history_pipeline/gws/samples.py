"""What can be told of many latencies without keeping them. Pure; each costs as much as the next."""

from __future__ import annotations

import math


class Sample:
    """Count, mean and spread of what was added."""

    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.count, self.total, self.squares = 0.0, 0.0, 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.squares += seconds * seconds

    def take_over(self, newer: Sample, keep: float) -> None:
        """Adds another, and lets what was there before count for less."""
        self.count = self.count * keep + newer.count
        self.total = self.total * keep + newer.total
        self.squares = self.squares * keep + newer.squares

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Of a single one; infinite where there are too few to tell."""
        if self.count < 2:
            return math.inf
        mean = self.mean
        return max(0.0, self.squares / self.count - mean * mean)

    def error(self, other: Sample | None = None) -> float:
        """The standard error of the mean; of the difference between two means where there is
        another, which is taken to spread as this one does."""
        shares = 1 / max(1.0, self.count) + (1 / max(1.0, other.count) if other else 0.0)
        return math.sqrt(self.variance * shares)


class Quantile:
    """The value that so large a `share` lies below, followed step by step: each one above raises
    it, each one below lowers it, by as much as keeps it where it belongs."""

    __slots__ = ("_down", "_up", "value")

    def __init__(self, share: float, pace: float = 0.05) -> None:
        self._up, self._down = 1 + pace * share, 1 - pace * (1 - share)
        self.value = 0.0

    def add(self, seconds: float) -> None:
        if seconds <= self.value:
            self.value *= self._down
        else:
            self.value = self.value * self._up or seconds
