"""A server that may cut its answers, in memory: days, media types and `maxSize` are all it knows."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import date, timedelta

import msgspec

from history_pipeline.gws import payloads
from history_pipeline.gws.inquiry import Answer
from history_pipeline.history.parting import Part

Cell = tuple[date, str]
"""A day and a media type."""


@dataclass
class CuttingServer:
    """`held` is how many interactions there are of each day and media type. `moved` are those that
    are no longer there once the first question was answered. An answer takes some seconds, an
    earlier one sometimes longer than a later one; `together` is how many were asked for at once."""

    held: dict[Cell, int]
    cap: int | None = None
    includes_to_date: bool = True
    obeys_sort: bool = True
    moved: frozenset[str] = frozenset()
    contact_id: str = ""
    asked: list[Part] = field(default_factory=list)
    together: int = 0
    asking: int = 0

    async def ask(self, part: Part) -> Answer:
        self.asked.append(part)
        answer = self._answer(part)
        self.asking += 1
        self.together = max(self.together, self.asking)
        await asyncio.sleep(1 + part.first.toordinal() % 3)
        self.asking -= 1
        return answer

    def _answer(self, part: Part) -> Answer:
        end = part.last + timedelta(days=1) if self.includes_to_date else part.last
        ids = [
            each
            for (day, media_type), count in sorted(self.held.items())
            if part.first <= day < end and part.media_type in (None, media_type)
            for each in self._names(day, media_type, count)
        ]
        if len(self.asked) > 1:
            ids = [each for each in ids if each not in self.moved]
        if part.is_descending and self.obeys_sort:
            ids.reverse()
        return payloads.array([_record(each) for each in ids[: self.cap]])

    def everything(self) -> set[str]:
        return {
            each
            for (day, media_type), count in self.held.items()
            for each in self._names(day, media_type, count)
        }

    def _names(self, day: date, media_type: str, count: int) -> list[str]:
        return [f"{day} {media_type} {n} {self.contact_id}" for n in range(count)]


def _record(name: str) -> msgspec.Raw:
    start = f"{name[:10]} 12:00:00.000+0200"
    return msgspec.Raw(json.dumps({"id": name, "startDate": start}).encode())
