"""Full and eased turns, and what their comparison says of the level. Pure.

Most of the time as many are in flight as the level says, a tenth of the time seven tenths of it.
Both are measured in the same minutes, so a server that gets slower for reasons of its own changes
nothing, and only a difference that is larger than chance counts.

How long the wait may be follows from the answers themselves. The slowest of a hundred of an
agent's requests shall take a tenth longer at most; how much a wait lengthens that depends on how
far the slow answers lie apart. And an agent's request meets one more of ours than ours do, which
tells more the fewer there are.

Knows the level, seconds that answers took, and which turn they were asked in. Does not know
refusals, nor what else moves the level.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from history_pipeline.gws.samples import Quantile, Sample

TOLERANCE = 0.001
"""Seconds of waiting that nobody sees."""

EASED = 0.7
EASED_ANSWERS = 3
FULL_ANSWERS = 40
"""So many answers times the limit make a turn: the eased one takes a tenth of the time."""

CALM_TURNS = 8
"""Where the most that is allowed makes nobody wait, full turns get so many times longer."""

_MEMORY = 1 - 1 / 80
_LEAST_EASED = 24
"""Answers before anything is concluded from them."""

_GROWTH = 0.086
_AMPLIFIED = 2.3
_ONE_MORE = 16.0
_MOST_OF_MEAN = 0.09
_LN_5 = math.log(5)

_FIRST_STEP, _LONGEST_STEP, _USUAL_STEP, _LONGEST_STEP_DOWN = 0.04, 0.25, 0.12, 0.3
_SOON, _LONG = 4, 20

_IS_EASED, _IS_FULL = 1, 2


class Turns:
    """`set_limit` is told what each turn wants in flight, and returns what it gets."""

    def __init__(self, set_limit: Callable[[int], int], tolerance: float) -> None:
        self._set_limit = set_limit
        self._tolerance = tolerance
        self._turn = self._compared = 0
        self._kind, self._left = _IS_FULL, 0
        self._full_limit = self._eased_limit = 0
        self._carried = 0.0
        self._rises = self._calm = 0
        self._p95, self._p99 = Quantile(0.95, 0.015), Quantile(0.99)
        self._in_turn = {_IS_EASED: (Sample(), Sample()), _IS_FULL: (Sample(), Sample())}
        self._eased, self._full = Sample(), Sample()

    def begin(self, level: float) -> None:
        """What was measured until now is forgotten; a full turn begins."""
        for sample in (*self._in_turn[_IS_EASED], *self._in_turn[_IS_FULL]):
            sample.clear()
        self._eased.clear()
        self._full.clear()
        self._compared = 0
        self._turn += 2
        self._begin_full(level)

    def lowered(self) -> None:
        """The level fell: it rises by short steps again, and is looked at often."""
        self._rises = self._calm = 0

    def calm_down(self) -> None:
        """Nothing is to be learned at present: full turns get longer."""
        self._calm += 1

    def admitted(self) -> int:
        """Three bits that tell which turn a request belongs to."""
        self._left -= 1
        return (self._turn & 1) << 2 | self._kind

    @property
    def is_over(self) -> bool:
        return not self._left

    def saw(self, seconds: float) -> None:
        """An answer came, whatever turn it belongs to."""
        self._p95.add(seconds)
        self._p99.add(seconds)

    def answered(self, bits: int, seconds: float) -> None:
        """An answer of a turn came."""
        self._in_turn[bits & 3][bits >> 2 & 1].add(seconds)

    def next(self, level: float) -> tuple[Sample, Sample] | None:
        """After a full turn an eased one. At its end, the full one's answers have come; they are
        given with those of the eased one before it, to be compared. `go_on` follows."""
        if self._kind == _IS_FULL:
            self._turn += 1
            for kind in (_IS_EASED, _IS_FULL):
                self._in_turn[kind][self._turn & 1].clear()
            self._kind = _IS_EASED
            self._eased_limit = self._set_limit(int(EASED * level))
            self._left = max(4, int(EASED_ANSWERS * level))
            return None
        before = ~self._turn & 1
        eased, full = self._in_turn[_IS_EASED][before], self._in_turn[_IS_FULL][before]
        return None if min(eased.count, full.count) < 2 else (eased, full)

    def go_on(self, level: float) -> None:
        """After an eased turn a full one, where that has not begun by now."""
        if self._kind == _IS_EASED and self.is_over:
            self._begin_full(level)

    def compare(self, eased: Sample, full: Sample, level: float, highest: float) -> float | None:
        """The level that these two turns, with those before, speak for; None for no other."""
        self._compared += 1
        self._eased.take_over(eased, _MEMORY)
        self._full.take_over(full, _MEMORY)
        if self._full_limit <= self._eased_limit:
            return self._raised(level, highest)
        if self._eased.count < _LEAST_EASED:
            return None
        bearable = self._bearable(level)
        excess = self._full.mean - self._eased.mean - bearable
        error = self._full.error(self._eased) + 1e-12
        # the longer it was watched, the less it takes, and the smaller is the step
        certain = max(1.5, 3 - self._eased.count / max(4.0, EASED_ANSWERS * level) / 4)
        if excess > certain * error:
            most = _LONGEST_STEP_DOWN if excess > 5 * error else _USUAL_STEP
            step = (excess - 1.5 * error) / self._eased.mean
            return level * (1 - min(most, max(_FIRST_STEP, step)))
        if excess < -certain * error or (
            # so small a difference cannot be told from none: watched for long, it counts as none
            self._compared >= _LONG and excess < -bearable / 2
        ):
            return self._raised(level, highest)
        self._calm = 0
        return None

    def _begin_full(self, level: float) -> None:
        whole = int(level)
        self._carried += level - whole
        if self._carried >= 1:
            self._carried -= 1
            whole += 1
        self._kind = _IS_FULL
        self._full_limit = self._set_limit(whole)
        self._left = FULL_ANSWERS * self._full_limit * min(1 + self._calm, CALM_TURNS)

    def _raised(self, level: float, highest: float) -> float | None:
        if level >= highest:
            self._calm += 1
            return None
        longest = _LONGEST_STEP if self._compared <= _SOON else _USUAL_STEP
        step = min(longest, _FIRST_STEP * 2.0**self._rises)
        self._rises += 1
        return max(level * (1 + step), level + 0.1)

    def _bearable(self, level: float) -> float:
        """Seconds that answers may take longer at the full limit than at the eased one.

        A wait lengthens the slowest answers by more than itself where these lie close together:
        with waits of about `mean / level` and a rate of decay that 95 and 99 % tell, by
        `(exp(x) - 1) / x`."""
        mean = self._eased.mean
        decay = _LN_5 / max(1e-9, self._p99.value - self._p95.value)
        x = min(20.0, max(0.01, _AMPLIFIED * decay * mean / level))
        room = _GROWTH * self._p99.value * x / math.expm1(x) * level / (level + _ONE_MORE)
        return max(self._tolerance, min(room, _MOST_OF_MEAN * mean))
