"""The days of a world, cut in its zone.

Knows where a local day begins and ends as instants, which days are quiet, and how an instant
is written. Does not know interactions. Instants are whole milliseconds since 1970 in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from history_pipeline.simulator.draws import key_number

HOUR_MS = 3_600_000
_QUIET_BLOCK = 10


@lru_cache(maxsize=4096)
def midnight_ms(zone: ZoneInfo, day: date) -> int:
    """The first instant of a local day; where midnight is skipped, the change itself."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * 1000


def instant(ms: int) -> datetime:
    """The aware UTC time of an instant, exact to the millisecond."""
    seconds, millis = divmod(ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=millis * 1000)


def written(ms: int, zone: tzinfo) -> str:
    """As the server writes times: `2015-10-01 16:02:07.000+0300`."""
    text = datetime.fromtimestamp(ms / 1000, zone).isoformat(" ", "milliseconds")
    return text[:-3] + text[-2:]


OTHER_ZONES: tuple[tzinfo, ...] = (
    timezone(timedelta(hours=5, minutes=30)),
    timezone(timedelta(hours=-8)),
    timezone(timedelta(hours=14)),
)


@dataclass(frozen=True, slots=True)
class Days:
    """The local days from `start` to before `end`, some of which are quiet.

    One day in each block of ten is quiet: nothing starts on it. Days on which the clocks
    change are never quiet, so that what happens around the change can be tested.
    """

    seed: int
    start: date
    end: date
    zone: ZoneInfo
    active: tuple[date, ...] = field(init=False)
    changes: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"a world without days: {self.start} .. {self.end}")
        span = [self.start + timedelta(days=n) for n in range((self.end - self.start).days)]
        active = [day for n, day in enumerate(span) if not self._quiet(n, day)]
        object.__setattr__(self, "active", tuple(active or span))
        object.__setattr__(
            self, "changes", tuple(self._change(day) for day in span if self._has_change(day))
        )

    def bounds(self, day: date) -> tuple[int, int]:
        """First instant of the day, first instant after it."""
        return midnight_ms(self.zone, day), midnight_ms(self.zone, day + timedelta(days=1))

    def landmarks(self) -> tuple[int, ...]:
        """Instants at which a wrong reading of days shows: day edges and clock changes."""
        found = []
        for day in (self.active[0], self.active[len(self.active) // 2], self.active[-1]):
            first, after = self.bounds(day)
            found += [first, after - 1]
        for change in self.changes:
            half = HOUR_MS // 2
            found += [change - half, change - 1, change, change + half, change + HOUR_MS]
        return tuple(sorted(set(found)))

    def _quiet(self, number: int, day: date) -> bool:
        block, position = divmod(number, _QUIET_BLOCK)
        drawn = key_number("quiet", self.seed, block) % _QUIET_BLOCK
        return position == drawn and not self._has_change(day)

    def _has_change(self, day: date) -> bool:
        first, after = self.bounds(day)
        return after - first != 24 * HOUR_MS

    def _change(self, day: date) -> int:
        """The instant at which the offset changes, found by halving the day."""
        low, high = self.bounds(day)
        before = instant(low).astimezone(self.zone).utcoffset()
        while high - low > 1:
            middle = (low + high) // 2
            if instant(middle).astimezone(self.zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return high
