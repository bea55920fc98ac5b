"""How many requests may be in flight: as many as make nobody wait. Pure.

Agents work on the same server. Where ours hold all that answers, theirs wait, and so do ours. So
the limit is tried by turns, in full and eased (`turns`). Where answers take longer at the full
limit than at the eased one, others wait, and it falls; where they do not, it rises.

Two things act at once: answers that take half as long again as they used to, and refusals (429,
503, status code 4). It begins low, and doubles with each round of answers until they get slower.

Knows seconds from acceptance to notification, how many were in flight, and refusals. Does not know
HTTP or whose clock it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from history_pipeline.gws.samples import Sample
from history_pipeline.gws.turns import TOLERANCE, Turns

BEGINNING = 4
"""The limit at the start; where most or floor say otherwise, they decide."""

_LATE_SHARE, _LATE_WEIGHT = 0.05, 0.2
"""A client that is late by such a share of what answers take is busy with itself: what it measures
says nothing of the server."""

_REFUSED = 0.7
_ALARM_ANSWERS = 64
_ALARMS = 2
_FAULTS = 2.0
_FAULTS_BORNE = 0.05
"""Status code 4 in one request of twenty is a matter of those requests, not of their number."""

_CAUTION, _LONGEST_CAUTION = 60.0, 3600.0

_NEITHER, _IN_ROUND, _AFTER_ROUND = 0, 1, 2


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
        self._generation = self._alarms = 0
        self._faults = self._lateness = 0.0
        self._usual, self._usual_of = 0.0, 0.0
        self._round, self._watched = Sample(), Sample()
        self._turns = Turns(self._set_limit, tolerance)
        self._alarmed: tuple[float, float] | None = None
        self._came = 0
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
        if in_flight * 8 < self.limit * 7:
            return ticket
        ticket |= self._turns.admitted()
        if self._turns.is_over:
            self._next_turn()
        return ticket

    def answered(self, ticket: int, seconds: float, now: float) -> None:
        """The notification came after so many seconds, or was given up then."""
        self._sum += self.limit
        self._answers += 1
        self._faults = max(0.0, self._faults - _FAULTS_BORNE)
        self._turns.saw(seconds)
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
            self._turns.answered(ticket & 7, seconds)
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
        self._turns.begin(self._level)
        if self._is_beginning:
            self._set_limit(int(self._level))
            self._left, self._came = self.limit, 0

    def _next_turn(self) -> None:
        if (told := self._turns.next(self._level)) is not None:
            self._compare(*told)
        self._turns.go_on(self._level)

    def _compare(self, eased: Sample, full: Sample) -> None:
        if self._is_late(full.mean):
            self._turns.calm_down()
            return
        self._learn_usual(eased)
        level = self._turns.compare(eased, full, self._level, self._highest)
        if level is None:
            return
        if level < self._level:
            self._lower_to(level)
        else:
            self._set_level(level)
        self._turns.begin(self._level)

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

    def _lower(self, factor: float) -> None:
        self._lower_to(self._level * factor)

    def _lower_to(self, level: float) -> None:
        self._decreases += 1
        self._turns.lowered()
        self._set_level(level)

    def _set_level(self, level: float) -> None:
        self._level = max(float(min(self._floor, self._most)), min(self._highest, level))

    def _set_limit(self, limit: int) -> int:
        self.limit = max(min(self._floor, self._most), min(self._most, limit))
        self._least = min(self._least, self.limit)
        return self.limit
