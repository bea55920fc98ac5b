"""What the marts must say, worked out in Python from the simulator's world alone: with none of
the pipeline's code and none of its SQL. Counts are made one by one, day by day; nothing is
clever here."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from history_pipeline_tests.end_to_end import oracle
from history_pipeline_tests.end_to_end.oracle import Copy

Row = dict[str, Any]
MEDIA_TYPES = (
    *("call", "chat", "email", "facebook", "facebooksession", "openmedia"),
    *("smssession", "twitter", "workitem"),
)
QUARTER = timedelta(minutes=15)


@dataclass(frozen=True)
class Interaction:
    interaction_id: str
    contact_id: str | None
    media_type: str | None
    type_id: str | None
    owner_id: str | None
    owner_user_name: str | None
    started_at: datetime
    ended_at: datetime | None
    attributes: dict[str, tuple[str, str]]
    zone: ZoneInfo

    @property
    def channel(self) -> str:
        return "unknown" if self.media_type is None else self.media_type

    @cached_property
    def local_start(self) -> datetime:
        return self.started_at.astimezone(self.zone).replace(tzinfo=None)

    @cached_property
    def local_end(self) -> datetime | None:
        return self.ended_at and self.ended_at.astimezone(self.zone).replace(tzinfo=None)

    @property
    def day(self) -> date:
        return self.local_start.date()

    @property
    def seconds(self) -> float | None:
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None

    @property
    def fair_seconds(self) -> float | None:
        """Without those that end before they start."""
        return self.seconds if self.seconds is not None and self.seconds >= 0 else None


@dataclass(frozen=True)
class Marts:
    """`days` were asked, all of them, in the server's zone; days and hours are told in `zone`."""

    interactions: list[Interaction]
    listed: set[str]
    days: list[date]
    server_zone: ZoneInfo
    zone: ZoneInfo

    @cached_property
    def by_contact(self) -> dict[str, list[Interaction]]:
        found: dict[str, list[Interaction]] = defaultdict(list)
        for each in self.interactions:
            if each.contact_id is not None:
                found[each.contact_id].append(each)
        for theirs in found.values():
            theirs.sort(key=lambda each: (each.started_at, each.interaction_id))
        return dict(found)

    @cached_property
    def neighbours(self) -> dict[str, tuple[int, Interaction | None, Interaction | None]]:
        """Number, previous and next of each interaction that names a contact, by its id."""
        found = {}
        for theirs in self.by_contact.values():
            for number, each in enumerate(theirs):
                before = theirs[number - 1] if number else None
                after = theirs[number + 1] if number + 1 < len(theirs) else None
                found[each.interaction_id] = (number + 1, before, after)
        return found

    @cached_property
    def business_days(self) -> dict[date, list[date]]:
        """Each day of the business zone that an asked day overlaps, with all of the server's days
        that it overlaps, asked or not; quarter by quarter of an hour."""
        asked: set[date] = set()
        overlapped: dict[date, set[date]] = defaultdict(set)
        first, last = min(self.days), max(self.days)
        for moment in self._quarters(first - timedelta(days=2), last + timedelta(days=3)):
            theirs = moment.astimezone(self.server_zone).date()
            ours = moment.astimezone(self.zone).date()
            overlapped[ours].add(theirs)
            if theirs in set(self.days):
                asked.add(ours)
        return {day: sorted(overlapped[day]) for day in sorted(asked)}

    def is_whole(self, day: date) -> bool:
        """Whether all of the server's days that it overlaps were asked."""
        return day in self.business_days and set(self.business_days[day]) <= set(self.days)

    def _quarters(self, first: date, end: date) -> Iterator[datetime]:
        moment = datetime(first.year, first.month, first.day, tzinfo=UTC)
        while moment < datetime(end.year, end.month, end.day, tzinfo=UTC):
            yield moment
            moment += QUARTER

    def rows(self, mart: str) -> list[Row]:
        told: Callable[[], Iterable[Row]] = getattr(self, f"_{mart}")
        return list(told())

    # -- one a mart -------------------------------------------------------------------------------

    def _interactions(self) -> Iterator[Row]:
        for each in self.interactions:
            number, before, after = self.neighbours.get(each.interaction_id, (None, None, None))
            distance = (each.day - before.day).days if before else None
            yield {
                "interaction_id": each.interaction_id,
                "contact_id": each.contact_id,
                "media_type": each.media_type,
                "day": each.day,
                "server_day": each.started_at.astimezone(self.server_zone).date(),
                "started_at_local": each.local_start,
                "ended_at_local": each.local_end,
                "is_open": each.ended_at is None,
                "duration_seconds": each.seconds,
                "contact_sequence": number,
                "seconds_since_previous": (each.started_at - before.started_at).total_seconds()
                if before
                else None,
                "days_since_previous": distance,
                "days_until_next": (after.day - each.day).days if after else None,
                "previous_media_type": before and before.media_type,
                "is_repeat_7d": distance is not None and distance <= 7,
                "attribute_count": len(each.attributes),
            }

    def _contacts(self) -> Iterator[Row]:
        last_day = max(day for day in self.business_days if self.is_whole(day))
        for contact_id in self.listed | self.by_contact.keys():
            theirs = self.by_contact.get(contact_id, [])
            channels = Counter(each.channel for each in theirs)
            latest = {each.channel: each.started_at for each in theirs}
            yield {
                "contact_id": contact_id,
                "is_listed": contact_id in self.listed,
                "first_interaction_at": theirs[0].started_at if theirs else None,
                "last_interaction_at": theirs[-1].started_at if theirs else None,
                "interactions": len(theirs),
                **{f"{name}_interactions": channels[name] for name in MEDIA_TYPES},
                "other_interactions": sum(
                    count for name, count in channels.items() if name not in MEDIA_TYPES
                ),
                "preferred_media_type": max(
                    channels, key=lambda name: (channels[name], latest[name], name), default=None
                ),
                **{
                    f"interactions_last_{days}_days": sum(
                        each.day > last_day - timedelta(days=days) for each in theirs
                    )
                    for days in (7, 30, 90)
                },
                "open_interactions": sum(each.ended_at is None for each in theirs),
            }

    def _daily_channel_volume(self) -> Iterator[Row]:
        for (day, channel, type_id), group in grouped(
            self.interactions, lambda each: (each.day, each.channel, each.type_id or "unknown")
        ):
            yield {
                "day": day,
                "media_type": channel,
                "type_id": type_id,
                "interactions": len(group),
                "contacts": len({each.contact_id for each in group} - {None}),
                **durations(group),
            }

    def _hourly_volume(self) -> Iterator[Row]:
        first, last = min(self.days), max(self.days)
        hours: Counter[int] = Counter()
        for moment in self._quarters(first - timedelta(days=2), last + timedelta(days=3)):
            if moment.astimezone(self.server_zone).date() in set(self.days):
                hours[hour_of_week(moment.astimezone(self.zone))] += 1
        found = Counter((hour_of_week(e.local_start), e.channel) for e in self.interactions)
        for channel in {each.channel for each in self.interactions}:
            for hour, quarters in hours.items():
                count = found[hour, channel]
                yield {
                    "hour_of_week": hour,
                    "iso_weekday": hour // 24 + 1,
                    "hour_of_day": hour % 24,
                    "media_type": channel,
                    "interactions": count,
                    "hours_observed": quarters / 4,
                    "average_per_week": count / (quarters / 4),
                }

    def _backlog_daily(self) -> Iterator[Row]:
        for day in self.business_days:
            after = datetime(day.year, day.month, day.day) + timedelta(days=1)
            ages = sorted(
                (day - each.day).days
                for each in self.interactions
                if each.local_start < after
                and (each.local_end is None or each.local_end >= max(after, each.local_start))
            )
            yield {
                "day": day,
                "open_at_day_end": len(ages),
                "median_age_days": ages[math.ceil(0.5 * len(ages)) - 1] if ages else None,
                "p90_age_days": ages[math.ceil(0.9 * len(ages)) - 1] if ages else None,
            }

    def _owner_daily(self) -> Iterator[Row]:
        owned = [each for each in self.interactions if each.owner_id is not None]
        for (owner, day), group in grouped(owned, lambda each: (each.owner_id, each.day)):
            named = [each for each in group if each.contact_id is not None]
            nexts = [self.neighbours[each.interaction_id][2] for each in named]
            followed = sum(after is not None and (after.day - day).days <= 7 for after in nexts)
            yield {
                "owner_id": owner,
                "day": day,
                "handled": len(group),
                "ended": sum(each.fair_seconds is not None for each in group),
                "total_duration_seconds": sum(each.fair_seconds or 0 for each in group),
                **durations(group),
                "with_contact": len(named),
                "followed_by_repeat": followed,
                "repeat_share": followed / len(named) if named else None,
                "is_final": all(
                    self.is_whole(day + timedelta(days=later)) for later in range(1, 8)
                ),
            }

    def _repeat_contacts(self) -> Iterator[Row]:
        named = [each for each in self.interactions if each.contact_id is not None]
        for day, group in grouped(named, lambda each: each.day):
            befores = [self.neighbours[each.interaction_id][1] for each in group]
            for within in (1, 3, 7, 14, 30):
                repeats = sum(
                    before is not None and (day - before.day).days <= within for before in befores
                )
                yield {
                    "day": day,
                    "within_days": within,
                    "interactions": len(group),
                    "repeats": repeats,
                    "repeat_rate": repeats / len(group),
                    "first_contact_resolution_proxy": 1 - repeats / len(group),
                }

    def _channel_transitions(self) -> Iterator[Row]:
        pairs = [
            (before, after)
            for theirs in self.by_contact.values()
            for before, after in itertools.pairwise(theirs)
        ]
        for (come, gone), group in grouped(pairs, lambda p: (p[0].channel, p[1].channel)):
            seconds = [(b.started_at - a.started_at).total_seconds() for a, b in group]
            yield {
                "from_media_type": come,
                "to_media_type": gone,
                "transitions": len(group),
                "median_seconds_between": quantile(seconds, 0.5),
            }

    def _days(self) -> Iterator[Row]:
        for day, theirs in self.business_days.items():
            yield {
                "day": day,
                "first_server_day": theirs[0],
                "last_server_day": theirs[-1],
                "is_asked_whole": self.is_whole(day),
                "is_complete": self.is_whole(day),
                "time_zone": str(self.zone),
            }


def interactions(
    copies: dict[str, list[Copy]], server_zone: ZoneInfo, zone: ZoneInfo, asked: Iterable[str]
) -> list[Interaction]:
    """The world's interactions, each as the one row that its copies make."""
    found = []
    for interaction_id, each in copies.items():
        row = oracle.row(each, server_zone)
        (contact_id,) = row["contact_ids"]
        found.append(
            Interaction(
                interaction_id=interaction_id,
                contact_id=contact_id,
                media_type=row["media_type"] and row["media_type"].lower(),
                type_id=row["type_id"],
                owner_id=row["owner_id"],
                owner_user_name=row["owner_user_name"],
                started_at=row["started_at"],
                ended_at=row["ended_at"],
                attributes=oracle.attributes(each, asked),
                zone=zone,
            )
        )
    return found


def grouped(things: Iterable[Any], key: Callable[[Any], Any]) -> Iterable[tuple[Any, list[Any]]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for thing in things:
        found[key(thing)].append(thing)
    return found.items()


def durations(group: Iterable[Interaction]) -> dict[str, float | None]:
    seconds = [each.fair_seconds for each in group if each.fair_seconds is not None]
    return {
        "median_duration_seconds": quantile(seconds, 0.5),
        "p90_duration_seconds": quantile(seconds, 0.9),
    }


def quantile(values: list[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def hour_of_week(local: datetime) -> int:
    return local.weekday() * 24 + local.hour
