"""«Terminate» in the UI ends a run in order, and what it has put down is not asked again."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from history_pipeline.defs import home
from history_pipeline.storage import parts
from history_pipeline_tests.dagster_ui.site import Site
from history_pipeline_tests.dagster_ui.webserver import Ui, ui, waited_for
from history_pipeline_tests.end_to_end.running import Span, environment, simulator
from history_pipeline_tests.end_to_end.test_world import ASKED, compare

SPAN = Span(date(2026, 10, 1), date(2026, 10, 4), contacts=60)
FIRST, LAST = "2026-10-01", "2026-10-03"
ASK = "RetrieveContactHistory"
PLANNED = SPAN.contacts * 2
A_SECOND, IN_FLIGHT = 25, 4
ENOUGH = 60
GONE_WITHIN = 10.0
RANGE = {
    "dagster/asset_partition_range_start": FIRST,
    "dagster/asset_partition_range_end": LAST,
}


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Iterator[Ui]:
    root = tmp_path_factory.mktemp("site")
    with simulator(SPAN) as url:
        told = environment(
            url,
            root / "data",
            HISTORY_START_DATE=FIRST,
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
        )
        pace = {
            "GWS_CONCURRENCY": str(IN_FLIGHT),
            "GWS_REQUESTS_PER_SECOND": str(A_SECOND),
            "GWS_NOTIFICATION_TIMEOUT": "30",
        }
        seed_dbt(root / "data")
        with ui(Site(root, told | pace)) as running:
            yield running


@pytest.mark.slow
def test_a_run_that_is_terminated_closes_its_channel_and_keeps_what_it_has(opened: Ui) -> None:
    site = opened.site
    assert opened.run_ended(opened.launch(assets=["contacts"])) == "SUCCESS"
    before = operations(site)
    run_id = opened.launch(assets=["interactions"], tags=RANGE)
    waited_for(lambda: operations(site).get(ASK, 0) >= ENOUGH or None)
    process = process_of(site, run_id)
    assert is_alive(process)
    opened.terminate(run_id)
    waited_for(lambda: None if is_alive(process) else True, GONE_WITHIN)
    assert opened.run_ended(run_id) == "CANCELED"
    after = operations(site)
    assert after["/meta/disconnect"] == before.get("/meta/disconnect", 0) + 1
    (window,) = site.layout.attempts.glob("*/parts/*")
    kept = parts.settled(window).num_rows
    assert ENOUGH - IN_FLIGHT <= kept < PLANNED
    assert after[ASK] - kept <= IN_FLIGHT, "the part at hand was finished"
    assert [path for path in window.iterdir() if path not in parts.whole(window)] == []
    again = opened.launch(assets=["interactions"], tags=RANGE)
    assert opened.run_ended(again) == "SUCCESS"
    assert operations(site)[ASK] - after[ASK] == PLANNED - kept
    assert opened.run_ended(opened.launch(assets=["warehouse"])) == "SUCCESS"
    compare(site.layout, SPAN, SPAN.start, SPAN.end)


def operations(site: Site) -> dict[str, int]:
    with urllib.request.urlopen(f"{site.told['GWS_URL']}/simulator/stats", timeout=10) as reply:
        return dict(json.load(reply)["operations"])


def process_of(site: Site, run_id: str) -> str:
    """The process that the run says it is in, as PID@START."""
    (run,) = [run for run in site.runs() if run.run_id == run_id]
    return run.tags[home.PROCESS_TAG].partition(" in ")[2].partition(" on ")[0]


def is_alive(process: str) -> bool:
    pid, _, started = process.partition("@")
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return facts[0] not in "ZX" and facts[19] == started
