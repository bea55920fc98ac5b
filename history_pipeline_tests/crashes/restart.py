"""`python -m history_pipeline_tests.crashes.restart`: how long a killed run of a million requests
takes from its restart to its first request, and what that costs in memory."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa

from history_pipeline.gws import connecting
from history_pipeline.gws.transport import AiohttpTransport
from history_pipeline.history.extraction import extract
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline.simulator.ids import contact_id
from history_pipeline.storage import attempts, parts
from history_pipeline.storage.schemas import LEDGER, OBSERVATIONS, REJECTS
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    settings_of,
    simulator,
)

DAY = date(2026, 10, 1)
DAYS = Window(DAY, DAY + timedelta(days=1))
MOST_SECONDS = 5.0


def prepare(settings: Settings, contact_ids: list[str], part: int) -> str:
    """An attempt that was killed when all contacts but the last had been asked."""
    layout, now = open_layout(settings), datetime.now(UTC)
    attempt = attempts.start(
        layout, DAYS, attempts.fingerprint(settings), pa.array(contact_ids), now
    )
    directory = attempt.window_directory(DAYS)
    done = sorted(contact_ids)[:-1]
    nothing = OBSERVATIONS.empty_table(), REJECTS.empty_table()
    for ordinal, start in enumerate(range(0, len(done), part // 2), 1):
        some = done[start : start + part // 2]
        parts.write(directory, ordinal, *nothing, _ledger(some, now))
    return attempt.run_id


def _ledger(contact_ids: list[str], now: datetime) -> pa.Table:
    """Both sources answered, without interactions."""
    count = 2 * len(contact_ids)
    known: dict[str, Any] = {
        "contact_id": [each for each in contact_ids for _ in range(2)],
        "source": ["main", "archive"] * len(contact_ids),
        "window_start": [DAYS.start] * count,
        "window_end": [DAYS.end] * count,
        "state": ["answered"] * count,
        "finished_at": [now] * count,
        "error": [None] * count,
        "seconds": [0.1] * count,
        "attempts": [1] * count,
    }
    columns = [pa.array(known.get(field.name, [0] * count), field.type) for field in LEDGER]
    return pa.table(columns, schema=LEDGER)


async def first_request(settings: Settings, run_id: str) -> tuple[float, float]:
    """Seconds from the start of the history step to its first request, and the most memory that
    was in use until then, in MB."""
    asked: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()

    class Watched(AiohttpTransport):
        async def send(self, method: str, path: str, *args: Any, **options: Any) -> Any:
            if path.endswith("/interactions") and not asked.done():
                asked.set_result((time.monotonic(), _most_memory()))
            return await super().send(method, path, *args, **options)

    connecting.AiohttpTransport = Watched  # type: ignore[misc]
    started = time.monotonic()
    step = asyncio.create_task(extract(settings, open_layout(settings), DAYS, run_id=run_id))
    await asyncio.wait({step, asked}, return_when=asyncio.FIRST_COMPLETED)
    if not asked.done():
        await step
    moment, memory = await asked
    await step
    return moment - started, memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000, help="in the ledger")
    parser.add_argument("--part", type=int, default=750, help="of them in a part (1.5 s at 500/s)")
    told = parser.parse_args()
    contacts = told.requests // 2 + 1
    with (
        tempfile.TemporaryDirectory() as home,
        simulator(Span(DAYS.start, DAYS.end, contacts=contacts)) as url,
    ):
        settings = settings_of(environment(url, Path(home)))
        ids = [contact_id(Span(DAYS.start, DAYS.end).seed, number) for number in range(contacts)]
        run_id = prepare(settings, ids, told.part)
        # a process of its own: what was prepared has left its traces in this one's memory
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seconds, early, memory = pool.submit(_measured, url, home, run_id).result()
    print(
        f"{2 * contacts - 2:,} requests in the ledger, in parts of {told.part}: first request "
        f"{seconds:.2f} s after the start of the history step, {early:.0f} MB "
        f"by then and {memory:.0f} MB at the end"
    )
    return 0 if seconds <= MOST_SECONDS else 1


def _measured(url: str, home: str, run_id: str) -> tuple[float, float, float]:
    settings = settings_of(environment(url, Path(home)))
    seconds, early = asyncio.run(first_request(settings, run_id))
    return seconds, early, _most_memory()


def _most_memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
