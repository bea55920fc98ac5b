"""Where days begin for a server, and whether `toDate` is one of those that it answers for. Pure.

Every zone there is, with `toDate` in or out, is a hypothesis. Each foretells which of the
interactions that are known by their starts a question about a day or two brings; those that
foretell wrongly are out. The next question is the one that leaves least, so a few of them do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from history_pipeline.history.instants import day_number
from history_pipeline.history.zones import known_zones, likely_zones, offset_at
from history_pipeline.probing.seen import Sighting

UTC = "UTC"
SAMPLE = 100
"""Interactions that are reckoned with."""

_DAY = 86_400
_FIRST_DAY = date(1970, 1, 1)

Days = tuple[date, date]
"""What a question asks for: `fromDate` and `toDate`."""


@dataclass(frozen=True, slots=True)
class DayAnswer:
    """Which of the sample came for these days."""

    days: Days
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """`zones` cut the days of the whole sample alike; `by_day` has what falls on each."""

    zones: tuple[str, ...]
    is_included: bool
    weight: int
    by_day: Mapping[int, frozenset[str]]

    def foretold(self, days: Days) -> frozenset[str]:
        first, last = map(day_number, days)
        after = last + 1 if self.is_included else last
        return frozenset[str]().union(*(self.by_day.get(n, ()) for n in range(first, after)))


@dataclass(slots=True)
class Reckoning:
    """What is known so far. `configured` is GWS_TIMEZONE; `sightings` are of one contact, and
    `before` is what another one's have told; `likely` are the zones that have most of the offsets
    that starts are written with."""

    configured: str
    sightings: Sequence[Sighting]
    before: Reckoning | None = None
    likely: frozenset[str] = field(init=False)
    answers: list[DayAnswer] = field(default_factory=list)
    refused: set[Days] = field(default_factory=set)
    sample: tuple[Sighting, ...] = field(init=False)
    _hypotheses: list[Hypothesis] = field(init=False)

    def __post_init__(self) -> None:
        if self.before is not None:
            self.likely = self.before.likely
        else:
            written = [(each.moment, each.offset) for each in self.sightings[:SAMPLE]]
            self.likely = frozenset(likely_zones(written, self.configured) if written else ())
        self.sample = _sample(self.sightings, self.configured, sorted(self.likely)[:1])
        self._hypotheses = list(self._all())

    def answered(self, days: Days, ids: Iterable[str]) -> None:
        known = {each.interaction_id for each in self.sample}
        self.answers.append(DayAnswer(days, frozenset(known.intersection(ids))))

    def passed(self, days: Days) -> None:
        """No answer was had that tells anything; it is not asked again."""
        self.refused.add(days)

    def with_another(self, sightings: Sequence[Sighting]) -> Reckoning:
        """The same, gone on with what is known of another contact."""
        return Reckoning(self.configured, sightings, self)

    @property
    def is_answered(self) -> bool:
        """Whether anything is known but the starts."""
        return bool(self.answers) or (self.before is not None and self.before.is_answered)

    @property
    def rivals(self) -> list[str]:
        """What keeps it open: zones that fit and are to be taken in earnest, and differ from the
        configured one, or from the likeliest where that one does not fit.

        Where offsets and days agree on a zone, and UTC is out, others are not taken in earnest.
        """
        names = by_likelihood({name for each in self.surviving for name in each.zones}, self)
        if self.configured in names:
            is_backed = self._offsets_tell and not all(
                self.apart(name, self.configured) for name in self.likely
            )
            earnest = [each for each in names if not is_backed or self._is_expected(each)]
            return [name for name in earnest if self.apart(name, self.configured)]
        earnest = [each for each in names if self._offsets_tell and self._is_expected(each)]
        if not self.likely.intersection(earnest):
            earnest = names
        return [name for name in earnest[1:] if self._differ(name, earnest[0])]

    def _is_expected(self, zone: str) -> bool:
        return zone == UTC or zone in self.likely

    @property
    def _offsets_tell(self) -> bool:
        """Some servers write UTC whatever their zone is."""
        if self.before is not None:
            return self.before._offsets_tell
        return any(each.offset for each in self.sightings)

    def _differ(self, zone: str, other: str) -> bool:
        """Whether two zones' clocks do, at any time of the year up to what was seen."""
        one, two = ZoneInfo(zone), ZoneInfo(other)
        last = max(self._moments(), default=0)
        year = range(last - 360 * _DAY, last + 1, 15 * _DAY)
        return any(offset_at(one, at) != offset_at(two, at) for at in year)

    def apart(self, zone: str, other: str) -> int:
        """Seconds between two zones' clocks, at most, when something started."""
        one, two = ZoneInfo(zone), ZoneInfo(other)
        moments = self._moments()
        return max((abs(offset_at(one, at) - offset_at(two, at)) for at in moments), default=0)

    def _moments(self) -> set[int]:
        earlier = self.before._moments() if self.before is not None else set[int]()
        return earlier | {each.moment for each in self.sightings}

    @property
    def surviving(self) -> list[Hypothesis]:
        return [
            each
            for each in self._hypotheses
            if all(each.foretold(told.days) == told.ids for told in self.answers)
        ]

    def next_question(self) -> Days | None:
        """The days to ask for; None where no question tells those that are left apart."""
        left = self.surviving
        whole = sum(each.weight for each in left) ** 2
        asked = {told.days for told in self.answers} | self.refused
        best = min(
            ((_confusion(left, days), days) for days in self._questions(left) if days not in asked),
            default=(whole, None),
        )
        return best[1] if best[0] < whole else None

    def _questions(self, left: Sequence[Hypothesis]) -> Iterator[Days]:
        """Single days and pairs of days, around those on which something started."""
        days = {day for each in left for day in each.by_day}
        around = days | {day - 1 for day in days}
        for day in sorted(around, reverse=True):
            first = _FIRST_DAY + timedelta(days=day)
            if not self._needs_two_days:
                yield first, first
            yield first, first + timedelta(days=1)

    @property
    def _needs_two_days(self) -> bool:
        """Where `toDate` is left out, a single day is no span, and may be refused."""
        return any(first == last for first, last in self.refused)

    def _all(self) -> Iterator[Hypothesis]:
        names = dict.fromkeys((self.configured, UTC, *known_zones()))
        left = {(name, is_included) for name in names for is_included in (True, False)}
        if self.before is not None:
            left = {
                (name, each.is_included) for each in self.before.surviving for name in each.zones
            }
        alike: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
        for name in names:
            alike[tuple(_local_days(self.sample, name))].append(name)
        for days, all_zones in alike.items():
            by_day: defaultdict[int, set[str]] = defaultdict(set)
            for day, sighting in zip(days, self.sample, strict=True):
                by_day[day].add(sighting.interaction_id)
            held = {day: frozenset(ids) for day, ids in by_day.items()}
            for is_included in (True, False):
                zones = tuple(zone for zone in all_zones if (zone, is_included) in left)
                if zones:
                    weight = sum(map(self.weight, zones))
                    yield Hypothesis(zones, is_included, weight, held)

    def weight(self, zone: str) -> int:
        """Those that are to be expected should be told apart first."""
        if zone in (self.configured, UTC):
            return 100
        return 20 if zone in self.likely else 1


def _local_days(sample: Iterable[Sighting], zone: str) -> Iterator[int]:
    info = ZoneInfo(zone)
    return ((each.moment + offset_at(info, each.moment)) // _DAY for each in sample)


def _sample(
    sightings: Sequence[Sighting], configured: str, likely: Sequence[str]
) -> tuple[Sighting, ...]:
    """First those on whose day the zones that are to be expected differ, then the newest."""
    days = [list(_local_days(sightings, zone)) for zone in (configured, UTC, *likely)]
    telling = [len(set(each)) for each in zip(*days, strict=True)]
    order = sorted(
        range(len(sightings)), key=lambda n: (telling[n], sightings[n].moment), reverse=True
    )
    chosen: dict[str, Sighting] = {}
    for n in order:
        chosen.setdefault(sightings[n].interaction_id, sightings[n])
        if len(chosen) == SAMPLE:
            break
    return tuple(chosen.values())


def _confusion(left: Sequence[Hypothesis], days: Days) -> int:
    """How much would be left, by weight, whatever the answer."""
    parts: Counter[frozenset[str]] = Counter()
    for each in left:
        parts[each.foretold(days)] += each.weight
    return sum(weight**2 for weight in parts.values())


def telling(sightings: Sequence[Sighting], reckoning: Reckoning) -> Sighting | None:
    """The one whose day tells most of the zones that are left apart."""
    weights = {name: reckoning.weight(name) for each in reckoning.surviving for name in each.zones}
    days = zip(*(_local_days(sightings, zone) for zone in weights), strict=True)
    best, least = None, sum(weights.values()) ** 2
    for sighting, told in zip(sightings, days, strict=True):
        parts: Counter[int] = Counter()
        for day, weight in zip(told, weights.values(), strict=True):
            parts[day] += weight
        left = sum(weight**2 for weight in parts.values())
        if left < least:
            best, least = sighting, left
    return best


def by_likelihood(names: Iterable[str], reckoning: Reckoning) -> list[str]:
    """Those that explain the offsets first, then UTC, then those of the configured continent."""
    continent = reckoning.configured.partition("/")[0] + "/"
    return sorted(
        names,
        key=lambda name: (
            name not in reckoning.likely,
            name != UTC,
            not name.startswith(continent),
            name.startswith("Antarctica/"),
            name,
        ),
    )
