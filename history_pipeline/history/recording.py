"""What is settled goes to disk, part by part, while more is asked.

One part is filled on the loop and one is written off it; whoever settles a request while both are
full waits. So at most the last two seconds of work can be lost, and memory has a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from history_pipeline.gws import payloads
from history_pipeline.history.flatten import Answered, Flattened, Flattener
from history_pipeline.model import Outcome
from history_pipeline.storage import parts
from history_pipeline.storage.schemas import OBSERVATIONS, PART_LEDGER, REJECTS
from history_pipeline.storage.splitting import sorted_by_day

FLUSH_SECONDS = 1.5
FLUSH_ROWS = 20_000
FLUSH_BYTES = 16 * 1024 * 1024
"""Of JSON received: a row can be large."""

STRETCH = 512 * 1024
"""Bytes of JSON flattened at once: less, and its overhead counts; more, and it does not fit into
the processor's cache, and what is in flight waits for it."""


class _Entry(NamedTuple):
    """A row of the ledger. `received` is how many records the answer had, of one that was taken as
    it came."""

    outcome: Outcome
    interactions: int = 0
    rejects: int = 0
    received: int | None = None


@dataclass(slots=True)
class _Filling:
    """`waiting` are answers that are to be flattened, each with its outcome and its length."""

    flattened: list[Flattened] = field(default_factory=list)
    ledger: list[_Entry] = field(default_factory=list)
    waiting: list[tuple[Answered, Outcome, int | None]] = field(default_factory=list)
    waiting_bytes: int = 0
    rows: int = 0
    received: int = 0

    @property
    def is_full(self) -> bool:
        return self.rows + len(self.waiting) >= FLUSH_ROWS or self.received >= FLUSH_BYTES

    def add(self, flattened: list[Flattened]) -> None:
        self.flattened += flattened
        self.rows += sum(each.observations.num_rows + each.rejects.num_rows for each in flattened)

    def put_down(self, entry: _Entry) -> None:
        self.ledger.append(entry)
        self.rows += 1


class Recorder:
    """Writes one window's parts. `async with` leaves only when all is on disk. `on_part` is told of
    each, off the loop, with its observations, when the disk has it. Where `only` names
    interactions, no others are kept; the counts are of all that came."""

    def __init__(
        self,
        directory: Path,
        flattener: Flattener,
        *,
        run_at: int,
        asked: tuple[str, ...],
        now: Callable[[], datetime],
        on_part: Callable[[Path, pa.Table], None] = lambda part, observations: None,
        only: pa.Array | None = None,
    ) -> None:
        self._directory = directory
        self._flattener = flattener
        self._run_at = run_at
        self._asked = asked
        self._now = now
        self._on_part = on_part
        self._only = only
        self._ordinal = parts.next_ordinal(directory)
        self._filling = _Filling()
        self._landed = self._rejected = 0
        self._began_at = 0.0
        self._writing: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Recorder:
        self._began_at = asyncio.get_running_loop().time()
        self._ticker = asyncio.create_task(self._tick(), name="part-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
        await self._written()
        self._begin_part()
        await self._written()
        self._raise_failure()

    async def answer(
        self, outcome: Outcome, records: msgspec.Raw, received: int | None = None
    ) -> None:
        """Puts down an answered request with its records, a JSON array. Both reach the disk in the
        same part. `received` is how many they are, where they were taken as they came."""
        answered = Answered(outcome.request, records, int(self._now().timestamp() * 1_000_000))
        size = payloads.size(records)
        if size > STRETCH:
            await self._flatten_large(answered, outcome, received)
        else:
            self._filling.waiting.append((answered, outcome, received))
            self._filling.waiting_bytes += size
            if self._filling.waiting_bytes >= STRETCH:
                self._flatten_waiting()
        self._filling.received += size

    def settle(self, outcome: Outcome) -> None:
        """Puts down a request that has ended without an answer."""
        self._filling.put_down(_Entry(outcome))

    def counts(self) -> tuple[int, int]:
        """How many interactions have landed, and how many records were set aside."""
        self._flatten_waiting()
        return self._landed, self._rejected

    def _flatten_waiting(self) -> None:
        filling = self._filling
        waiting, filling.waiting, filling.waiting_bytes = filling.waiting, [], 0
        if not waiting:
            return
        flattened = self._flatten([answered for answered, _, _ in waiting])
        filling.add([flattened])
        counts = zip(flattened.landed, flattened.rejected, strict=True)
        for (_, outcome, received), (landed, rejected) in zip(waiting, counts, strict=True):
            filling.put_down(_Entry(outcome, landed, rejected, received))

    async def _flatten_large(
        self, answered: Answered, outcome: Outcome, received: int | None
    ) -> None:
        """Stretch by stretch: all at once, and the heartbeat would miss its turn."""
        flattened = []
        for records in _stretches(answered.records):
            flattened.append(self._flatten([replace(answered, records=records)]))
            await asyncio.sleep(0)
        # nothing is flushed in between: a part must hold an answer's rows and its outcome
        self._filling.add(flattened)
        landed = sum(each.observations.num_rows for each in flattened)
        rejected = sum(each.rejects.num_rows for each in flattened)
        self._filling.put_down(_Entry(outcome, landed, rejected, received))

    def _flatten(self, answers: list[Answered]) -> Flattened:
        flattened = self._flattener.flatten(answers, run_at=self._run_at, asked=self._asked)
        self._landed += flattened.observations.num_rows
        self._rejected += flattened.rejects.num_rows
        return flattened

    async def room(self) -> None:
        """Returns when there is room for more. Raises StorageError where writing failed."""
        self._raise_failure()
        while self._filling.is_full:
            # of all that wait here one begins the part, and the others find room or wait for it
            if self._writing is None:
                self._begin_part()
            else:
                await self._written()
            self._raise_failure()

    async def _tick(self) -> None:
        now = asyncio.get_running_loop().time
        while True:
            rest = self._began_at + FLUSH_SECONDS - now()
            if rest > 0:
                await asyncio.sleep(rest)
            elif self._writing is None:
                self._begin_part()
            else:
                await self._written()

    def _begin_part(self) -> None:
        """Has what was filled written, off the loop. None may be being written."""
        self._began_at = asyncio.get_running_loop().time()
        self._flatten_waiting()
        if not self._filling.ledger or self._failure is not None:
            return
        full, self._filling = self._filling, _Filling()
        ordinal, self._ordinal = self._ordinal, self._ordinal + 1
        self._writing = asyncio.create_task(asyncio.to_thread(self._write, full, ordinal))
        # known at once, not with the next part: until then more would be asked, and lost
        self._writing.add_done_callback(self._note_end)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wait({self._writing})

    def _note_end(self, writing: asyncio.Task[None]) -> None:
        self._writing = None
        if not writing.cancelled():
            self._failure = self._failure or writing.exception()

    def _raise_failure(self) -> None:
        """A part that could not be written ends the run: going on would lose what it held."""
        if self._failure is not None:
            raise self._failure

    def _write(self, full: _Filling, ordinal: int) -> None:
        observations = _together([each.observations for each in full.flattened], OBSERVATIONS)
        if self._only is not None:
            observations = observations.filter(
                pc.is_in(observations["interaction_id"], value_set=self._only)
            )
        # whoever splits it by day has less to do then
        observations = sorted_by_day(observations)
        part = parts.write(
            self._directory,
            ordinal,
            observations,
            _together([each.rejects for each in full.flattened], REJECTS),
            _ledger(full.ledger),
        )
        self._on_part(part, observations)


def _together(tables: list[pa.Table], schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _stretches(answer: msgspec.Raw) -> Iterator[msgspec.Raw]:
    """The same records, in arrays that hold about as much as is flattened at once."""
    held: list[msgspec.Raw] = []
    size = 0
    for record in payloads.records(answer):
        held.append(record)
        size += payloads.size(record)
        if size >= STRETCH:
            yield payloads.array(held)
            held, size = [], 0
    if held:
        yield payloads.array(held)


def _ledger(rows: list[_Entry]) -> pa.Table:
    columns = {
        "contact_id": [row.outcome.request.contact_id for row in rows],
        "window_start": [row.outcome.request.window.start for row in rows],
        "window_end": [row.outcome.request.window.end for row in rows],
        "source": [row.outcome.request.source.value for row in rows],
        "state": [row.outcome.state.value for row in rows],
        "interactions": [row.interactions for row in rows],
        "rejects": [row.rejects for row in rows],
        "attempts": [row.outcome.attempts for row in rows],
        "seconds": [row.outcome.seconds for row in rows],
        "error": [row.outcome.error for row in rows],
        "finished_at": [row.outcome.finished_at for row in rows],
        "received": [row.received for row in rows],
    }
    return pa.table(columns, schema=PART_LEDGER)
