"""Stands in for the client: what becomes of each attempt is written down.

A `Turn` is an answer's records, an error to raise, or seconds to take before the next turn.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from history_pipeline.gws.client import Answer, Inquiry
from history_pipeline.model import Source
from history_pipeline_tests.history.answers import raw, record

Turn = list[Any] | Exception | float
Key = tuple[str, Source]


@dataclass(frozen=True, slots=True)
class Asked:
    at: float
    contact_id: str
    source: Source


def one_record(contact_id: str, source: Source) -> list[Any]:
    return [record(f"{contact_id} {source.value}", contactId=contact_id)]


@dataclass
class ScriptedAsker:
    """`turns[contact, source]` are played one an attempt; then `usual` answers for ever."""

    turns: dict[Key, list[Turn]] = field(default_factory=lambda: defaultdict(list))
    usual: Callable[[str, Source], Turn | list[Turn]] = one_record
    latency: float = 0.1
    asked: list[Asked] = field(default_factory=list)
    answered: list[Asked] = field(default_factory=list)
    forgotten: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    async def attempt(self, inquiry: Inquiry) -> Answer:
        loop = asyncio.get_running_loop()
        contact_id = inquiry.path.split("/")[-2]
        source = Source(json.loads(inquiry.body)["source"])
        self.asked.append(Asked(loop.time(), contact_id, source))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
            return await self._play(contact_id, source)
        finally:
            self.in_flight -= 1

    def forget(self, inquiry: Inquiry) -> None:
        self.forgotten += 1

    async def _play(self, contact_id: str, source: Source) -> Answer:
        turns = self.turns[contact_id, source]
        while True:
            turn = turns.pop(0) if turns else self.usual(contact_id, source)
            if isinstance(turn, Exception):
                raise turn
            if isinstance(turn, float):
                await asyncio.sleep(turn)
                continue
            loop = asyncio.get_running_loop()
            self.answered.append(Asked(loop.time(), contact_id, source))
            return raw(*turn)

    def questions(self) -> list[Key]:
        return [(call.contact_id, call.source) for call in self.asked]
