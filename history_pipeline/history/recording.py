"""What is settled goes to disk, part by part, while more is asked.

One part is filled on the loop and one is written off it; whoever settles a request while both are
full waits. So at most the last two seconds of work can be lost, and memory has a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from history_pipeline.history.flatten import Flattener, Observations
from history_pipeline.model import HistoryRequest, Outcome
from history_pipeline.storage import parts
from history_pipeline.storage.schemas import LEDGER

FLUSH_SECONDS = 1.5
FLUSH_ROWS = 20_000
FLUSH_BYTES = 16 * 1024 * 1024
"""Of JSON received: a row can be large."""

SLICE = 4_000
"""Records flattened at a stretch: longer, and the heartbeat would miss its turn."""


@dataclass(slots=True)
class _Filling:
    observations: Observations = field(default_factory=Observations)
    ledger: list[tuple[Any, ...]] = field(default_factory=list)
    received: int = 0

    @property
    def is_full(self) -> bool:
        rows = len(self.observations) + len(self.observations.rejects) + len(self.ledger)
        return rows >= FLUSH_ROWS or self.received >= FLUSH_BYTES


class Recorder:
    """Writes one window's parts. `async with` leaves only when all is on disk."""

    def __init__(
        self,
        directory: Path,
        flattener: Flattener,
        *,
        run_at: int,
        asked: tuple[str, ...],
        now: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._flattener = flattener
        self._run_at = run_at
        self._asked = asked
        self._now = now
        self._ordinal = parts.next_ordinal(directory)
        self._filling = _Filling()
        self._writing: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Recorder:
        self._ticker = asyncio.create_task(self._tick(), name="part-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
        await self._flush()
        await self._written()
        self._raise_failure()

    async def answer(self, request: HistoryRequest, records: list[msgspec.Raw]) -> tuple[int, int]:
        """Flattens an answer. Returns how many interactions landed and how many records were set
        aside. The rows reach the disk together with the outcome given to `settle`, or later."""
        observed_at = int(self._now().timestamp() * 1_000_000)
        landed = rejected = 0
        # a part must hold an answer's rows and its outcome: nothing is flushed in between
        into = self._filling.observations if len(records) <= SLICE else Observations()
        for start in range(0, len(records), SLICE):
            if start:
                await asyncio.sleep(0)
            some, others = self._flattener.add(
                request, records[start : start + SLICE], observed_at, into
            )
            landed, rejected = landed + some, rejected + others
        if into is not self._filling.observations:
            self._filling.observations.rows.extend(into.rows)
            self._filling.observations.rejects.extend(into.rejects)
        self._filling.received += sum(len(memoryview(record)) for record in records)
        return landed, rejected

    def settle(self, outcome: Outcome) -> None:
        """Puts down how a request ended. Call it without awaiting after `answer`."""
        request = outcome.request
        self._filling.ledger.append(
            (
                request.contact_id,
                request.window.start,
                request.window.end,
                request.source.value,
                outcome.state.value,
                outcome.interactions,
                outcome.rejects,
                outcome.attempts,
                outcome.seconds,
                outcome.error,
                outcome.finished_at,
            )
        )

    async def room(self) -> None:
        """Returns when there is room for more. Raises StorageError where writing failed."""
        self._raise_failure()
        if self._filling.is_full:
            await self._flush()
            self._raise_failure()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        await self._written()
        if not self._filling.ledger or self._failure is not None:
            return
        full, self._filling = self._filling, _Filling()
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, full, ordinal))
        # known at once, not with the next part: until then more would be asked, and lost
        self._writing.add_done_callback(self._note_failure)

    async def _written(self) -> None:
        while self._writing is not None:
            writing = self._writing
            await asyncio.wait({writing})
            if self._writing is writing:
                self._writing = None

    def _note_failure(self, writing: asyncio.Task[None]) -> None:
        if not writing.cancelled():
            self._failure = self._failure or writing.exception()

    def _raise_failure(self) -> None:
        """A part that could not be written ends the run: going on would lose what it held."""
        if self._failure is not None:
            raise self._failure

    def _write(self, full: _Filling, ordinal: int) -> None:
        columns: Any = zip(*full.ledger, strict=True) if full.ledger else [[] for _ in LEDGER]
        ledger = pa.table(
            [pa.array(column, kind.type) for column, kind in zip(columns, LEDGER, strict=True)],
            schema=LEDGER,
        )
        parts.write(
            self._directory,
            ordinal,
            full.observations.table(run_at=self._run_at, asked=self._asked),
            full.observations.reject_table(),
            ledger,
        )
