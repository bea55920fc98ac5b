"""How fast one core flattens: `python -m ….flattening INTERACTIONS`. Beside it, in the same run,
what only decoding the same answers takes."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from history_pipeline.history.flatten import Flattener
from history_pipeline.history.recording import Recorder
from history_pipeline.model import HistoryRequest, Outcome, RequestState, Source
from history_pipeline_tests.benchmarks.measuring import measured, tell
from history_pipeline_tests.history.answers import WINDOW, seed_records

RECORDS = 10
"""In an answer, as many as a contact has in a month of the simulator's."""

ROUNDS = 7


def answers(interactions: int) -> list[msgspec.Raw]:
    """Shaped as the sample of the API guide, each interaction another one."""
    seed = seed_records()

    def record(number: int) -> dict[str, object]:
        started = f"2015-10-{number % 28 + 1:02d} 16:{number % 60:02d}:07.000+0300"
        return seed[number % len(seed)] | {"id": f"{number:016d}", "startDate": started}

    return [
        msgspec.Raw(json.dumps([record(n) for n in range(first, first + RECORDS)]).encode())
        for first in range(0, interactions, RECORDS)
    ]


def decoding(given: list[msgspec.Raw]) -> float:
    """CPU seconds."""
    decode = msgspec.json.Decoder().decode
    began = time.process_time()
    for answer in given:
        decode(answer)
    return time.process_time() - began


def flattening(given: list[msgspec.Raw]) -> float:
    """CPU seconds, from the answers to parts on the disk."""

    async def record(root: Path) -> None:
        recorder = Recorder(
            root / "window",
            Flattener(ZoneInfo("Europe/Berlin")),
            run_at=0,
            asked=("SearchId", "CustomerId"),
            now=lambda: datetime.now(UTC),
        )
        async with recorder:
            for number, answer in enumerate(given):
                request = HistoryRequest(f"{number:016d}", WINDOW, Source.MAIN)
                outcome = Outcome(request, RequestState.ANSWERED, datetime.now(UTC))
                await recorder.answer(outcome, answer)
                await recorder.room()
        if recorder.counts() != (len(given) * RECORDS, 0):
            raise RuntimeError("not every interaction has landed")

    with tempfile.TemporaryDirectory() as root:
        began = time.process_time()
        asyncio.run(record(Path(root)))
        return time.process_time() - began


def main(interactions: str) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    given = answers(int(interactions))
    count = len(given) * RECORDS
    flattening(given[:100])  # imports
    with measured() as taken:
        # by turns: a noisy neighbour slows both
        found = [(decoding(given), flattening(given)) for _ in range(ROUNDS)]
    taken.told = {
        "interactions": count,
        "decoded_per_second": count / statistics.median(decoded for decoded, _ in found),
        "flattened_per_second": count / statistics.median(flat for _, flat in found),
        "share_of_decoding": statistics.median(decoded / flat for decoded, flat in found),
    }
    tell(taken)


if __name__ == "__main__":
    main(*sys.argv[1:])
