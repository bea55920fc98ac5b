"""dbt over a warehouse of its full size: everything anew, and a day later.

A site of half a million contacts is loaded, and then as after a daily run: one day is new, and the
lookback's days have been seen again. dbt is run as the pipeline runs it, with `dbt run` and
`dbt test` apart, so that each has its time.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from history_pipeline.defs import dbt_project
from history_pipeline.defs import models as models_
from history_pipeline.settings import Settings
from history_pipeline.storage import database, identity, publishing, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.benchmarks import loading
from history_pipeline_tests.benchmarks.races import FULL, Say, Size
from history_pipeline_tests.benchmarks.scene import ASKED_JSON, WINDOW
from history_pipeline_tests.end_to_end.running import environment, settings_of

MEMORY = "1500MB"
"""What DuckDB may take of the 2 GB; the rest is Python's and dbt's."""

CONTACTS, FEW_CONTACTS = 500_000, 50
AGAIN = 7
SERVER = "http://127.0.0.1"
_DEADLINE = 1800


def models(size: Size, say: Say) -> dict[str, Any]:
    contacts = CONTACTS if size is FULL else FEW_CONTACTS
    with tempfile.TemporaryDirectory(prefix="models-") as root:
        told = environment(SERVER, Path(root), HISTORY_CUSTOM_ATTRIBUTES=ASKED_JSON)
        settings = settings_of(told)
        layout = identity.open_data_dir(Path(root), server=SERVER, zone=loading.ZONE)
        pattern = loading.pattern_of(size.loaded_rows // loading.DAYS)
        for number in range(loading.DAYS):
            loading.write_day(layout, pattern, number, contacts=contacts)
        warehouse.load(layout, loading.NOW)
        _cover(layout, contacts, loading.DAYS)
        found: dict[str, Any] = {"full": _built(layout, settings)}
        say(f"models over {size.loaded_rows:,} interactions, anew: {_shown(found['full'])}")
        publishing.mark_modelled(layout, dbt_project.fingerprint(settings))

        later = loading.NOW + timedelta(days=1)
        for number in range(loading.DAYS - AGAIN, loading.DAYS + 1):
            loading.write_day(layout, pattern, number, contacts=contacts, seen=later)
        warehouse.load(layout, later)
        _cover(layout, contacts, loading.DAYS + 1)
        if size is FULL and models_.build_flags(layout, settings):
            raise RuntimeError("a day later, the pipeline would build everything anew")
        found["day"] = _built(layout, settings)
        say(f"the same a day later: {_shown(found['day'])}")
    return {"contacts": contacts, "days": loading.DAYS, "again": AGAIN, **found}


def _cover(layout: Layout, contacts: int, days: int) -> None:
    """As if all contacts had been asked for these days, of both sources, and had answered."""
    start, end = WINDOW.start, WINDOW.start + timedelta(days=days)
    with database.writing(layout.warehouse, layout.scratch) as connection:
        connection.execute(
            """
            delete from raw_gws.contacts; delete from raw_gws.coverage;
            delete from raw_gws.run_scopes; delete from raw_gws.runs;
            """
        )
        connection.execute(
            "insert into raw_gws.contacts select format('contact{:07d}', number), '{}', ?, ? "
            "from range(?) as numbers(number)",
            [loading.NOW, loading.NOW, contacts],
        )
        for source in ("main", "archive"):
            connection.execute(
                "insert into raw_gws.coverage "
                "select contact_id, ?, ?, ?, 'answered', true, ? from raw_gws.contacts",
                [source, start, end, loading.NOW],
            )
            connection.execute(
                "insert into raw_gws.runs values ('run', ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, '', ?, ?)",
                [start, end, source, contacts, contacts, loading.NOW, loading.NOW],
            )
        connection.execute(
            "insert into raw_gws.run_scopes values ('run', ?, ?, 'gws', true, true, '[]', ?, ?)",
            [start, end, loading.ZONE, loading.NOW],
        )


def _built(layout: Layout, settings: Settings) -> dict[str, Any]:
    """Seconds of `dbt run` and of `dbt test`, from start to end, and the peak of the larger."""
    flags = models_.build_flags(layout, settings)
    run = _dbt(layout, settings, "run", *flags)
    results = json.loads((layout.dbt / "target" / "run_results.json").read_text())["results"]
    took = {each["unique_id"].split(".")[-1]: each["execution_time"] for each in results}
    test = _dbt(layout, settings, "test", "--exclude-resource-types", "unit_test")
    slowest = sorted(took, key=lambda name: -took[name])[:5]
    return {
        "run_seconds": run,
        "test_seconds": test,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "slowest": {name: took[name] for name in slowest},
    }


def _dbt(layout: Layout, settings: Settings, *arguments: str) -> float:
    told = {
        **os.environ,
        **dbt_project.environment(layout),
        **dbt_project.variables(settings),
        "DBT_TARGET_PATH": str(layout.dbt / "target"),
        "HISTORY_DBT_MEMORY_LIMIT": MEMORY,
    }
    began = time.perf_counter()
    done = subprocess.run(
        [*dbt_project.command(), *arguments, "--project-dir", str(dbt_project.directory())],
        env=told, capture_output=True, text=True, check=False, timeout=_DEADLINE,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"dbt {arguments[0]} failed:\n{done.stdout[-3000:]}")
    return time.perf_counter() - began


def _shown(took: dict[str, Any]) -> str:
    return (
        f"{took['run_seconds']:.1f} s, tests {took['test_seconds']:.1f} s, {took['peak_mb']:.0f} MB"
    )
