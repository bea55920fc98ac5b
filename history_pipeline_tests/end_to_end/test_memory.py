"""Memory grows with contacts by no more than promised: at most 150 MB above the idle process at
100,000 contacts, measured as a slope at sizes that a test can afford."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from history_pipeline_tests.end_to_end.running import Span, environment, simulator

_PROGRAM = """
import asyncio, json, resource
from datetime import UTC, date, datetime
import pyarrow as pa
from history_pipeline import settings
from history_pipeline.contacts import reading
from history_pipeline.history.extraction import extract
from history_pipeline.model import Window
from history_pipeline.storage import database, identity

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

told = settings.load()
# the libraries are what an idle process holds too: loaded, and each of them used once
with database.in_memory(told.data_dir / "tmp") as connection:
    pa.table(connection.sql("select 1 as one").to_arrow_table())
idle = peak()
layout = identity.open_data_dir(told.data_dir, server=told.url, zone=told.timezone)
reading.read(told, layout, datetime.now(UTC))
days = Window(date(2026, 10, 1), date(2026, 10, 3))
done = asyncio.run(extract(told, layout, days))
requests = sum(account.planned for _, each in done.windows for account in each)
print(json.dumps({"idle": idle, "peak": peak(), "requests": requests}))
"""


def measured(contacts: int, tmp_path: Path) -> dict[str, int]:
    """Kilobytes of the extraction in a process of its own, over so many contacts."""
    span = Span(date(2026, 10, 1), date(2026, 10, 3), contacts=contacts)
    with simulator(span, "--interactions-per-contact", "1") as url:
        told = environment(url, tmp_path / str(contacts), GWS_CONCURRENCY="32")
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, **told, "GWS_NOTIFICATION_TIMEOUT": "30"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    return dict(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(8_000, 20_000)])
def test_memory_at_a_hundred_thousand_contacts_stays_below_150_mb_above_idle(
    tmp_path: Path, sizes: tuple[int, int]
) -> None:
    small, large = (measured(size, tmp_path) for size in sizes)
    assert large["requests"] == 2 * sizes[1]
    slope = (large["peak"] - small["peak"]) / (sizes[1] - sizes[0])
    expected = large["peak"] - large["idle"] + slope * (100_000 - sizes[1])
    print(f"slope {slope * 1024:.0f} bytes a contact; {expected / 1024:.0f} MB at 100,000")
    assert expected < 150 * 1024
