"""The daily job asks again for what was open, and its metadata and its log tell of that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.contacts import reading
from history_pipeline.history.extraction import extract
from history_pipeline.model import Window
from history_pipeline.storage import warehouse
from history_pipeline_tests.dagster_ui.site import Site, history_requests, run_python
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    rows,
    settings_of,
    simulator,
)

BERLIN = ZoneInfo("Europe/Berlin")
TODAY = datetime.now(BERLIN).date()
SPAN = Span(TODAY - timedelta(days=60), TODAY - timedelta(days=30), contacts=60)
MOST = 6
"""A twentieth of what a run of one window asks of 60 contacts, in both sources."""

_ASK = """
import json, sys
import dagster as dg
from history_pipeline.cli.display import quiet
from history_pipeline.defs import home
from history_pipeline.defs.dbt_project import environment_layout
layout = environment_layout()
home.prepare(layout)
from history_pipeline.definitions import defs
with quiet(), home.instance(layout) as instance:
    done = defs.resolve_job_def("daily").execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(name) for name in ("contacts", "interactions", "warehouse")],
        tags=json.loads(sys.argv[1]),
    )
    said = [entry.user_message for entry in instance.all_logs(done.run_id)]
print(json.dumps([line for line in said if line.startswith("open interactions")]))
"""
"""The job's first steps as Dagster runs them; what their log says of open interactions."""


def run_of_yesterday(site: Site) -> list[str]:
    yesterday = (TODAY - timedelta(days=1)).isoformat()
    tags = {f"dagster/asset_partition_range_{edge}": yesterday for edge in ("start", "end")}
    done = run_python(_ASK, json.dumps(tags), cwd=site.root, environment=site.environment())
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_the_daily_job_closes_what_was_open_and_tells_of_it(
    tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "data")
    with simulator(SPAN) as url:
        site = Site(tmp_path, environment(url, tmp_path / "data", GWS_NOTIFICATION_TIMEOUT="30"))
        settings = settings_of(site.told)
        layout = open_layout(settings)
        moment = datetime.combine(SPAN.end, time(4), BERLIN).astimezone(UTC)
        reading.read(settings, layout, moment)
        asyncio.run(extract(settings, layout, Window(SPAN.start, SPAN.end), now=lambda: moment))
        warehouse.load(layout, moment)
    ended = "select count(*) from raw_gws.interactions where ended_at is not null"
    ((before,),) = rows(layout, ended)
    late = ("--ends-late-share", "1", "--ends-late-days", "5,20")
    with simulator(SPAN, *late, port=int(url.rpartition(":")[2])):
        (line,) = run_of_yesterday(site)
        assert history_requests(url) == 2 * SPAN.contacts + MOST
    (told,) = site.materializations("interactions").values()
    assert told["requests planned"] == 2 * SPAN.contacts
    assert told["requests to ask them again"] == MOST
    assert told["requests to ask them again that failed"] == 0
    closed = told["open interactions that have ended"]
    assert MOST <= closed == told["open interactions asked again"]
    assert told["open interactions due"] == closed + told["open interactions left to the next run"]
    assert line.startswith(f"open interactions of earlier days: {told['open interactions due']:,} ")
    assert f"{closed:,} asked again with {MOST} requests, {closed:,} have ended, " in line
    assert rows(layout, ended) == [(before + closed,)]
    assert site.checks()["every_request_answered"]
