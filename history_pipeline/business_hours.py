"""When agents are at work: days of the week and hours of the day, such as `Mon-Fri 08:00-18:00`.

Knows local times as a clock on the wall shows them. Does not know zones, nor what is different
then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(
    r"(?P<days>[A-Za-z,\s-]+?)\s+(?P<start>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2})"
)
_EXAMPLE = "write them as in Mon-Fri 08:00-18:00; Sat 09:00-13:00"


@dataclass(frozen=True, slots=True)
class Span:
    """The same hours on some days of the week (Monday is 0); `end` is out, and None is midnight."""

    days: frozenset[int]
    start: time
    end: time | None

    def holds(self, local: datetime) -> bool:
        clock = local.time()
        return local.weekday() in self.days and self.start <= clock and self._ends_after(clock)

    def begins_within(self, local: datetime, lead: timedelta) -> bool:
        for days in (0, 1):
            begins = datetime.combine(local.date() + timedelta(days=days), self.start)
            if begins.weekday() in self.days and timedelta() < begins - local <= lead:
                return True
        return False

    def _ends_after(self, clock: time) -> bool:
        return self.end is None or clock < self.end


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """All spans of a week."""

    spans: tuple[Span, ...]

    def hold(self, local: datetime, lead: timedelta = timedelta()) -> bool:
        """Whether it is business hours at this local time, or will be within less than a day."""
        naive = local.replace(tzinfo=None)
        return any(span.holds(naive) or span.begins_within(naive, lead) for span in self.spans)


def parse(text: str) -> BusinessHours:
    """Raises ValueError that says what is wrong, and how it is written."""
    return BusinessHours(tuple(_span(part.strip()) for part in text.split(";") if part.strip()))


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"«{text}» is not understood: {_EXAMPLE}")
    start, end = _clock(found["start"]), _clock(found["end"])
    if start is None or (end is not None and start >= end):
        raise ValueError(
            f"«{text}» ends before it begins: hours over midnight are two spans, "
            "such as Mon-Fri 22:00-24:00; Tue-Sat 00:00-06:00"
        )
    return Span(_weekdays(found["days"]), start, end)


def _clock(text: str) -> time | None:
    hours, minutes = map(int, text.split(":"))
    if (hours, minutes) == (24, 0):
        return None
    try:
        return time(hours, minutes)
    except ValueError:
        raise ValueError(f"«{text}» is no time of day, 00:00 to 24:00") from None


def _weekdays(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = (each.strip().lower() for each in part.partition("-"))
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError(f"«{part.strip()}» is no day of the week: {_EXAMPLE}")
        begins, ends = _DAYS.index(first), _DAYS.index(last or first)
        # Fri-Mon goes over the end of the week
        days.update((begins + n) % 7 for n in range((ends - begins) % 7 + 1))
    return frozenset(days)
