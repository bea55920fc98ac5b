"""How many requests may be in flight: as many as make nobody wait. Pure.

Agents work on the same server. Where ours hold all that answers, theirs wait, and so do ours. So
the limit is tried by turns: most of the time in full, a tenth of the time eased to seven tenths of
it. Where answers take longer at the full limit than at the eased one, others wait, and it falls;
where they do not, it rises. Both are measured in the same minutes, so a server that gets slower for
reasons of its own changes nothing, and only a difference that is larger than chance counts.

How long the wait may be follows from the answers themselves. The slowest of a hundred of an
agent's requests shall take a tenth longer at most; how much a wait lengthens that depends on how
far the slow answers lie apart. And an agent's request meets one more of ours than ours do, which
tells more the fewer there are.

Two things act at once: answers that take half as long again as they used to, and refusals (429,
503, status code 4). It begins low, and doubles with each round of answers until they get slower.

Knows seconds from acceptance to notification, how many were in flight, and refusals. Does not know
HTTP or whose clock it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from history_pipeline.gws.samples import Quantile, Sample

BEGINNING = 4
"""The limit at the start; where most or floor say otherwise, they decide."""

EASED = 0.7
EASED_ANSWERS = 3
FULL_ANSWERS = 40
"""So many answers times the limit make a turn: the eased one takes a tenth of the time."""

CALM_TURNS = 8
"""Where the most that is allowed makes nobody wait, full turns get so many times longer."""

TOLERANCE = 0.001
"""Seconds of waiting that nobody sees."""

_LATE_SHARE, _LATE_WEIGHT = 0.05, 0.2
"""A client that is late by such a share of what answers take is busy with itself: what it measures
says nothing of the server."""

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
_REFUSED = 0.7
_ALARM_ANSWERS = 64
_ALARMS = 2
_FAULTS = 2.0
_FAULTS_BORNE = 0.05
"""Status code 4 in one request of twenty is a matter of those requests, not of their number."""

_CAUTION, _LONGEST_CAUTION = 60.0, 3600.0

_NEITHER, _IS_EASED, _IS_FULL = 0, 1, 2
_IN_ROUND, _AFTER_ROUND = 1, 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What the limit was in a run; the mean is over its answers. `decreases` counts how often it
    was lowered, `refusals` how many of these were the server's own wish."""

    least: int
    mean: float
    last: int
    decreases: int
    refusals: int

    def __str__(self) -> str:
        return (
            f"{self.last} at the end, {self.mean:.1f} on average, {self.least} at least, lowered "
            f"{self.decreases:,} times, {self.refusals:,} of them as the server refused"
        )


class Limiter:
    """The limit of one client. `most` and `floor` bound it; equal, they fix it."""

    def __init__(self, most: int, floor: int = 1, tolerance: float = TOLERANCE) -> None:
        self._configured = self._most = most
        self._floor = min(floor, most)
        self._tolerance = tolerance
        self._level = float(min(most, max(floor, BEGINNING)))
        self._ceiling, self._ceiling_until, self._caution = float(most), -math.inf, _CAUTION
        self._is_beginning = True
        self._generation = 0
        self._turn = self._compared = 0
        self._kind, self._left, self._came = _IS_FULL, 0, 0
        self._full_limit = self._eased_limit = 0
        self._carried = 0.0
        self._rises = self._calm = self._alarms = 0
        self._faults = self._lateness = 0.0
        self._usual, self._usual_of = 0.0, 0.0
        self._p95, self._p99 = Quantile(0.95, 0.015), Quantile(0.99)
        self._round, self._watched = Sample(), Sample()
        self._in_turn = {_IS_EASED: (Sample(), Sample()), _IS_FULL: (Sample(), Sample())}
        self._eased, self._full = Sample(), Sample()
        self._alarmed: tuple[float, float] | None = None
        self.limit = self._left = round(self._level)
        self._least, self._sum, self._answers = self.limit, 0.0, 0
        self._decreases = self._refusals = 0

    @property
    def most(self) -> int:
        """As configured, whatever the hours."""
        return self._configured

    def limits(self) -> Limits:
        mean = self._sum / self._answers if self._answers else float(self.limit)
        return Limits(self._least, mean, self.limit, self._decreases, self._refusals)

    def bound(self, most: int) -> None:
        """From now on there may be no more than so many, nor than was configured."""
        most = min(most, self._configured)
        if most == self._most:
            return
        self._is_beginning = self._is_beginning or most > self._most
        self._most = most
        self._set_level(self._level)
        self._anew()

    def admitted(self, in_flight: int) -> int:
        """A request goes out, as the last of so many; the ticket is for what comes of it."""
        ticket = self._generation << 3
        if self._is_beginning:
            return ticket | self._in_round(in_flight)
        # a limit that is not made use of tells nothing
        if not self._left or in_flight * 8 < self.limit * 7:
            return ticket
        ticket |= (self._turn & 1) << 2 | self._kind
        self._left -= 1
        if not self._left:
            self._next_turn()
        return ticket

    def answered(self, ticket: int, seconds: float, now: float) -> None:
        """The notification came after so many seconds, or was given up then."""
        self._sum += self.limit
        self._answers += 1
        self._faults = max(0.0, self._faults - _FAULTS_BORNE)
        self._p95.add(seconds)
        self._p99.add(seconds)
        if self._ceiling < self._configured and now >= self._ceiling_until:
            self._ceiling = float(self._configured)
            if self._caution == _CAUTION:
                # refused once, as by a server that starts: it is tried as at the beginning
                self._is_beginning = True
                self._anew()
        if ticket >> 3 != self._generation:
            return
        if self._usual:
            # a few very slow answers must not hide how long the many take
            seconds = min(seconds, 3 * self._usual + self._tolerance)
        kind = ticket & 3
        if self._is_beginning:
            if kind:
                self._learn_round(kind, seconds)
            return
        if kind:
            self._in_turn[kind][ticket >> 2 & 1].add(seconds)
        self._watched.add(seconds)
        if self._watched.count >= _ALARM_ANSWERS:
            self._look_after()

    def was_late(self, seconds: float) -> None:
        """By so many seconds the client came late to something that was due."""
        self._lateness += _LATE_WEIGHT * (seconds - self._lateness)

    def refused(self, ticket: int, now: float) -> None:
        """The server asked to be spared. What was sent before the limit fell says nothing new."""
        if ticket >> 3 != self._generation:
            return
        if self._level > self._floor:
            # the number that was refused is tried again after a while, and each time a longer one
            is_again = now < self._ceiling_until + 2 * self._caution
            self._caution = min(2 * self._caution, _LONGEST_CAUTION) if is_again else _CAUTION
            self._ceiling = max(float(self._floor), min(self.limit - 1, self.limit * 0.95))
            self._ceiling_until = now + self._caution
            self._refusals += 1
            self._lower(_REFUSED)
        self._is_beginning = False
        self._anew()

    def faulted(self, ticket: int, now: float) -> None:
        """Status code 4: an internal error, as of a pool that is full."""
        self._faults += 1
        if self._faults >= _FAULTS:
            self._faults = 0.0
            self.refused(ticket, now)

    # -- beginning ----------------------------------------------------------------------------

    def _in_round(self, in_flight: int) -> int:
        """The first ones asked make the round, not the first ones answered: those are the quick
        ones."""
        if in_flight * 2 < self.limit:
            return _NEITHER
        if not self._left:
            return _AFTER_ROUND
        self._left -= 1
        return _IN_ROUND

    def _learn_round(self, kind: int, seconds: float) -> None:
        self._came += 1
        if kind == _IN_ROUND:
            self._round.add(seconds)
        # one whose answer is lost must not hold up all
        if self._round.count >= self.limit or self._came >= 4 * self.limit:
            self._end_round()

    def _end_round(self) -> None:
        told = self._round
        if not self._usual_of:
            self._usual, self._usual_of = told.mean, told.count
        else:
            slower, error = told.mean - self._usual, self._error(told)
            is_slower = slower > 0.3 * self._usual + self._tolerance and slower > 3 * error
            if is_slower and not self._is_late(told.mean):
                self._is_beginning = False
                self._lower(max(0.2, 0.9 * self._usual / told.mean))
                self._anew()
                return
            if slower < error:
                self._learn_usual(told)
        self._is_beginning = self._level < self._highest
        self._set_level(2 * self._level)
        self._anew()

    def _error(self, told: Sample) -> float:
        """Of the difference to what is usual, which was learned from so many."""
        return told.error() * math.sqrt(1 + told.count / max(1.0, self._usual_of))

    def _learn_usual(self, told: Sample) -> None:
        share = told.count / (told.count + min(500.0, self._usual_of))
        self._usual += share * (told.mean - self._usual)
        self._usual_of += told.count

    # -- by turns -----------------------------------------------------------------------------

    def _anew(self) -> None:
        """What was sent until now counts no more."""
        self._generation += 1
        self._alarms = 0
        self._round.clear()
        self._watched.clear()
        self._forget_turns()
        if self._is_beginning:
            self._set_limit(int(self._level))
            self._left, self._came = self.limit, 0

    def _forget_turns(self) -> None:
        for sample in (*self._in_turn[_IS_EASED], *self._in_turn[_IS_FULL]):
            sample.clear()
        self._eased.clear()
        self._full.clear()
        self._compared = 0
        self._turn += 2
        self._begin_full()

    def _begin_full(self) -> None:
        whole = int(self._level)
        self._carried += self._level - whole
        if self._carried >= 1:
            self._carried -= 1
            whole += 1
        self._kind = _IS_FULL
        self._set_limit(whole)
        self._full_limit = self.limit
        self._left = FULL_ANSWERS * self.limit * min(1 + self._calm, CALM_TURNS)

    def _next_turn(self) -> None:
        """After a full turn an eased one. At its end, the full one's answers have come, and it is
        compared with the eased one before it."""
        if self._kind == _IS_FULL:
            self._turn += 1
            for kind in (_IS_EASED, _IS_FULL):
                self._in_turn[kind][self._turn & 1].clear()
            self._kind = _IS_EASED
            self._set_limit(int(EASED * self._level))
            self._eased_limit = self.limit
            self._left = max(4, int(EASED_ANSWERS * self._level))
            return
        before = ~self._turn & 1
        self._compare(self._in_turn[_IS_EASED][before], self._in_turn[_IS_FULL][before])
        if self._kind == _IS_EASED:
            self._begin_full()

    def _compare(self, eased: Sample, full: Sample) -> None:
        if min(eased.count, full.count) < 2:
            return
        if self._is_late(full.mean):
            self._calm += 1
            return
        self._compared += 1
        self._learn_usual(eased)
        self._eased.take_over(eased, _MEMORY)
        self._full.take_over(full, _MEMORY)
        if self._full_limit <= self._eased_limit:
            self._rise()
            return
        if self._eased.count < _LEAST_EASED:
            return
        bearable = self._bearable()
        excess = self._full.mean - self._eased.mean - bearable
        error = self._full.error(self._eased) + 1e-12
        # the longer it was watched, the less it takes, and the smaller is the step
        certain = max(1.5, 3 - self._eased.count / max(4.0, EASED_ANSWERS * self._level) / 4)
        if excess > certain * error:
            most = _LONGEST_STEP_DOWN if excess > 5 * error else _USUAL_STEP
            step = (excess - 1.5 * error) / self._eased.mean
            self._lower(1 - min(most, max(_FIRST_STEP, step)))
            self._forget_turns()
        elif excess < -certain * error or (
            # so small a difference cannot be told from none: watched for long, it counts as none
            self._compared >= _LONG and excess < -bearable / 2
        ):
            self._rise()
        else:
            self._calm = 0

    def _bearable(self) -> float:
        """Seconds that answers may take longer at the full limit than at the eased one.

        A wait lengthens the slowest answers by more than itself where these lie close together:
        with waits of about `mean / level` and a rate of decay that 95 and 99 % tell, by
        `(exp(x) - 1) / x`."""
        mean, level = self._eased.mean, self._level
        decay = _LN_5 / max(1e-9, self._p99.value - self._p95.value)
        x = min(20.0, max(0.01, _AMPLIFIED * decay * mean / level))
        room = _GROWTH * self._p99.value * x / math.expm1(x) * level / (level + _ONE_MORE)
        return max(self._tolerance, min(room, _MOST_OF_MEAN * mean))

    # -- at once ------------------------------------------------------------------------------

    def _look_after(self) -> None:
        """Answers that take half as long again, time after time: something has changed."""
        told, slower = self._watched, self._watched.mean - self._usual
        is_alarming = slower > 0.5 * self._usual + self._tolerance
        is_alarming = is_alarming and slower > 4 * self._error(told)
        mean = told.mean
        is_alarming = is_alarming and not self._is_late(mean)
        told.clear()
        self._alarms = self._alarms + 1 if is_alarming else 0
        if self._alarms < _ALARMS:
            if not is_alarming:
                self._alarmed = None
            return
        before, self._alarmed = self._alarmed, (mean, self._level)
        is_ours = before is None or mean < 0.85 * before[0]
        if is_ours and self._level > self._floor + 0.01:
            self._lower(max(0.5, self._usual / mean))
        else:
            # fewer in flight did not help: that is how long answers take now
            self._usual, self._usual_of, self._alarmed = mean, float(_ALARM_ANSWERS), None
            if before is not None:
                self._set_level(before[1])
        self._anew()

    def _is_late(self, mean: float) -> bool:
        return self._lateness > _LATE_SHARE * mean

    # -- the level ----------------------------------------------------------------------------

    @property
    def _highest(self) -> float:
        return min(float(self._most), self._ceiling)

    def _rise(self) -> None:
        if self._level >= self._highest:
            self._calm += 1
            return
        longest = _LONGEST_STEP if self._compared <= _SOON else _USUAL_STEP
        step = min(longest, _FIRST_STEP * 2**self._rises)
        self._rises += 1
        self._set_level(max(self._level * (1 + step), self._level + 0.1))
        self._forget_turns()

    def _lower(self, factor: float) -> None:
        self._decreases += 1
        self._rises = self._calm = 0
        self._set_level(self._level * factor)

    def _set_level(self, level: float) -> None:
        self._level = max(float(min(self._floor, self._most)), min(self._highest, level))

    def _set_limit(self, limit: int) -> None:
        self.limit = max(min(self._floor, self._most), min(self._most, limit))
        self._least = min(self._least, self.limit)
