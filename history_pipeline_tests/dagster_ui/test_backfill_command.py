"""`history-pipeline backfill` leaves what the UI shows: runs, partitions, metadata, checks."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest
from dagster import DagsterRun, DagsterRunStatus

from history_pipeline.defs import dbt_project, home
from history_pipeline.storage import attempts
from history_pipeline_tests.dagster_ui.site import Site, history_requests
from history_pipeline_tests.end_to_end.running import (
    PASSWORD,
    USERNAME,
    Span,
    environment,
    rows,
    simulator,
)

pytestmark = pytest.mark.slow

CONTACTS = 12
SPAN = Span(date(2026, 10, 1), date(2026, 10, 8), contacts=CONTACTS)
FIRST, LAST = date(2026, 10, 2), date(2026, 10, 4)
DAYS = [(FIRST + timedelta(days=n)).isoformat() for n in range(3)]
HOST = socket.gethostname()
THEIR_CONFIG = "telemetry:\n  enabled: false\n# the site's own\n"
NO_SUCH_PROCESS = f"{2**22 + 1}@1"


@dataclass(frozen=True, slots=True)
class Backfill:
    """One `backfill` of three days, in an instance where older runs had been left behind."""

    site: Site
    asked: int
    left_behind: dict[str, str]


@dataclass(frozen=True, slots=True)
class Lossy:
    """One `backfill` of a day, of whose notifications many are lost, in a DAGSTER_HOME of the
    user's own."""

    site: Site
    command: Future[subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lossy(
    tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Iterator[Lossy]:
    root = tmp_path_factory.mktemp("lossy")
    seed_dbt(root / "data")
    theirs = root / "theirs"
    theirs.mkdir()
    (theirs / "dagster.yaml").write_text(THEIR_CONFIG)
    with simulator(SPAN, "--lost-share", "0.3") as url, ThreadPoolExecutor(1) as thread:
        told = environment(
            url,
            root / "data",
            GWS_MAX_ATTEMPTS="1",
            HISTORY_START_DATE="2026-10-01",
            DAGSTER_HOME=str(theirs),
        )
        site = Site(root, told)
        arguments = ("backfill", "--from", DAYS[0], "--to", DAYS[0])
        yield Lossy(site, thread.submit(site.history_pipeline, *arguments))


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None], lossy: Lossy
) -> Iterator[Backfill]:
    """It goes on beside the lossy one."""
    root = tmp_path_factory.mktemp("site")
    seed_dbt(root / "data")
    with simulator(SPAN) as url:
        attributes = json.dumps(list(SPAN.world().attribute_names))
        site = Site(
            root,
            environment(
                url,
                root / "data",
                HISTORY_START_DATE="2026-10-01",
                HISTORY_CUSTOM_ATTRIBUTES=attributes,
                # nothing is lost here, and a busy machine must not make it ask twice
                GWS_NOTIFICATION_TIMEOUT="20",
            ),
        )
        left_behind = leave_runs_behind(site)
        command = site.history_pipeline("backfill", "--from", DAYS[0], "--to", DAYS[-1])
        assert command.returncode == 0, command.stderr
        yield Backfill(site, history_requests(url), left_behind)


def leave_runs_behind(site: Site) -> dict[str, str]:
    """Run ids by what is the matter with their process."""
    before = os.umask(0o077)
    site.dagster_home.mkdir(parents=True)
    ids = {name: str(uuid.uuid4()) for name in ("dead", "alive", "elsewhere", "re-executed")}
    living = home.process_tag(ids["alive"])[home.PROCESS_TAG]
    marks = {
        "dead": f"{ids['dead'][:8]} in {NO_SUCH_PROCESS} on {HOST}",
        "alive": living,
        "elsewhere": f"{ids['elsewhere'][:8]} in {NO_SUCH_PROCESS} on another-host",
        "re-executed": f"{ids['dead'][:8]} in {NO_SUCH_PROCESS} on {HOST}",
    }
    with site.instance() as instance:
        for name, run_id in ids.items():
            instance.add_run(
                DagsterRun(
                    job_name="daily",
                    run_id=run_id,
                    status=DagsterRunStatus.STARTED,
                    tags={home.PROCESS_TAG: marks[name]},
                )
            )
    os.umask(before)
    return ids


def test_a_range_of_days_is_one_run_that_asks_once_per_contact_and_source(done: Backfill) -> None:
    assert done.asked == CONTACTS * 2
    asking = [
        run
        for run in done.site.runs()
        if run.asset_selection and "interactions" in {k.path[-1] for k in run.asset_selection}
    ]
    (run,) = [run for run in asking if run.run_id not in done.left_behind.values()]
    assert run.status is DagsterRunStatus.SUCCESS
    assert run.tags["dagster/asset_partition_range_start"] == DAYS[0]
    assert run.tags["dagster/asset_partition_range_end"] == DAYS[-1]
    assert run.run_id[:8] in run.tags[home.PROCESS_TAG]
    attempt = attempts.by_id(done.site.layout, run.tags[home.ATTEMPT_TAG])
    assert attempt is not None
    assert attempt.is_finished


def test_each_day_of_the_range_shows_what_was_asked_and_what_came(done: Backfill) -> None:
    shown = done.site.materializations("interactions")
    assert sorted(map(str, shown)) == DAYS
    loaded = dict(
        rows(
            done.site.layout,
            "select window_date::varchar, count(*) from raw_gws.interactions group by all",
            done.site.layout.published,
        )
    )
    for day, metadata in shown.items():
        assert metadata["requests planned"] == CONTACTS * 2
        states = ("answered", "unavailable", "gone", "failed")
        assert sum(metadata[f"requests {state}"] for state in states) == CONTACTS * 2
        assert metadata["interactions in the answers"] > 0
        assert metadata["interactions of this day"] == loaded.get(day, 0)
        for name in (
            "rejects in the answers",
            "retries",
            "requests a second",
            "latency p50 (s)",
            "latency p99 (s)",
        ):
            assert isinstance(metadata[name], int | float)
        assert "on average" in metadata["limit in flight"]
        previewed = metadata["preview"].records
        assert set(previewed[0].data) == {
            "interaction_id",
            "media_type",
            "source",
            "started_at",
            "ended_at",
        }


def test_the_published_file_is_shown_with_its_path_and_rows(done: Backfill) -> None:
    (shown,) = done.site.materializations("published").values()
    layout = done.site.layout
    assert Path(shown["path"]) == layout.published
    ((count,),) = rows(layout, "select count(*) from marts.interactions", layout.published)
    assert shown["interactions"] == count > 0


def test_every_check_was_made(done: Backfill) -> None:
    checks = done.site.checks()
    assert checks["every_request_answered"]
    assert checks["sources_available"]
    assert checks["no_duplicate_ids"]
    assert not checks["freshness"], "days since the last one asked are missing"


def test_runs_of_dead_processes_are_marked_as_failed_and_others_left_alone(done: Backfill) -> None:
    status = {run.run_id: run.status for run in done.site.runs()}
    assert {name: status[run_id] for name, run_id in done.left_behind.items()} == {
        "dead": DagsterRunStatus.FAILURE,
        "alive": DagsterRunStatus.STARTED,
        "elsewhere": DagsterRunStatus.STARTED,
        "re-executed": DagsterRunStatus.STARTED,
    }


def test_nothing_that_dagster_or_dbt_keeps_holds_a_customers_text_or_a_secret(
    done: Backfill,
) -> None:
    layout = done.site.layout
    token = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
    forbidden = {PASSWORD, token, "JSESSIONID", "X-CSRF"} | customers_texts()
    assert len(forbidden) > 50
    needles = {
        form.encode()
        for text in forbidden
        for form in (text, json.dumps(text)[1:-1], json.dumps(json.dumps(text))[3:-3])
    }
    read = 0
    for directory in (layout.dagster_home, layout.dbt):
        for path in (path for path in directory.rglob("*") if path.is_file()):
            if path.name == "partial_parse.msgpack":
                continue  # dbt's own code, parsed; its words are not the world's
            content = path.read_bytes()
            read += len(content)
            assert not [needle for needle in needles if needle in content], path
    assert read > 1_000_000


def customers_texts() -> set[str]:
    """Subjects, owners' names and attribute values of the world that are like no other words."""
    world = SPAN.world()
    texts: set[str] = set()
    for contact in world.contacts():
        for source in ("main", "archive"):
            for record in world.records(contact.contact_id, source):
                payload = record.payload if isinstance(record.payload, dict) else {}
                owner = payload.get("ownerInformation")
                texts.add(str(payload.get("subject")))
                texts.update(str(v) for v in (owner if isinstance(owner, dict) else {}).values())
                attributes = payload.get("customAttributes")
                texts.update(
                    str(v) for v in (attributes if isinstance(attributes, dict) else {}).values()
                )
    return {text for text in texts if len(text) >= 9 and not text.replace("-", "").isdigit()}


def test_dagsters_files_belong_to_their_owner_alone(done: Backfill) -> None:
    paths = [path for path in done.site.dagster_home.rglob("*") if path.is_file()]
    assert len(paths) > 5
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_columns_are_shown_with_the_types_that_they_have(done: Backfill) -> None:
    layout = done.site.layout
    manifest = json.loads(dbt_project.manifest(layout).read_text())
    shown = [
        (node["schema"], node["name"], name, column["data_type"], bool(column["description"]))
        for node in manifest["nodes"].values()
        for name, column in node.get("columns", {}).items()
    ]
    held = rows(
        layout,
        "select schema_name, table_name, column_name, "
        "replace(lower(data_type), 'timestamp with time zone', 'timestamptz'), true "
        "from duckdb_columns() where schema_name in ('staging', 'intermediate', 'marts') "
        # its other columns are the site's attributes
        "and (table_name <> 'interaction_attributes_wide' or column_name = 'interaction_id')",
        layout.published,
    )
    assert sorted(shown) == sorted(held)


def test_failed_requests_turn_their_check_red_and_the_rest_is_published(lossy: Lossy) -> None:
    command, site = lossy.command.result(), lossy.site
    assert command.returncode == 1, command.stderr
    checks = site.checks()
    assert checks["every_request_answered"] is False
    assert checks["no_duplicate_ids"]
    (shown,) = site.materializations("interactions").values()
    assert shown["requests failed"] > 0
    reasons = {
        record.data["reason"]: record.data["requests"]
        for record in shown["reasons of failure"].records
    }
    assert sum(reasons.values()) == shown["requests failed"]
    assert site.materializations("published"), "no check blocks"
    assert {run.status for run in site.runs()} == {DagsterRunStatus.SUCCESS}
    assert (site.dagster_home / "dagster.yaml").read_text() == THEIR_CONFIG
    assert not site.layout.dagster_home.exists()
