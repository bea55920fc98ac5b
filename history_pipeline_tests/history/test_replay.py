"""What was set aside and can be read by now ends where a clean run would have put it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from history_pipeline.history import instants
from history_pipeline.history.flatten import Flattener
from history_pipeline.history.recording import Recorder
from history_pipeline.history.replay import replay
from history_pipeline.model import HistoryRequest, Outcome, RequestState, Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts, identity, warehouse
from history_pipeline.storage.compaction import compact
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.history.answers import raw
from history_pipeline_tests.storage.lake import MAY, Lake, Row

STARTED = datetime(2024, 6, 1, 12, tzinfo=UTC)
SEEN = STARTED + timedelta(minutes=1)
LATER = STARTED + timedelta(days=1)

RECORDS = [
    {"id": "plain", "contactId": "c1", "startDate": "2024-05-02 10:00:00.000+0200"},
    {"id": "odd", "contactId": "c1", "startDate": "yesterday, about ten", "subject": "kept"},
    {"id": "odd, elsewhere", "contactId": "c1", "startDate": "long ago"},
    {"id": "never", "contactId": "c1", "startDate": "?"},
    5,
]
READABLE = {
    "yesterday, about ten": "2024-05-02 10:00:00.000+0200",
    "long ago": "2019-01-01 10:00:00.000+0200",
}


@pytest.fixture
def more_can_be_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As after an update that reads times which this version does not."""
    real = instants.micros

    def start() -> None:
        monkeypatch.setattr(instants, "micros", lambda text: real(READABLE.get(text, text)))

    return start


def settings_of(root: Path) -> Settings:
    told = {
        "GWS_URL": "http://127.0.0.1:1",
        "GWS_USERNAME": "u",
        "GWS_PASSWORD": "p",
        "GWS_TIMEZONE": "Europe/Berlin",
        "HISTORY_CONTACTS": "gws",
        "HISTORY_DATA_DIR": str(root),
        "HISTORY_CUSTOM_ATTRIBUTES": '["OrderNo"]',
    }
    return Settings(_env_file=None, **told)  # type: ignore[call-arg]


def run(settings: Settings, started_at: datetime = STARTED) -> Lake:
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    attempt = attempts.start(layout, MAY, "print", ["c1"], started_at)
    request = HistoryRequest("c1", MAY, Source.MAIN)

    async def collect() -> None:
        async with Recorder(
            attempt.window_directory(MAY),
            Flattener(settings.zone),
            run_at=attempt.started_micros,
            asked=settings.asked_attributes,
            now=lambda: started_at + timedelta(minutes=1),
        ) as recorder:
            outcome = Outcome(request, RequestState.ANSWERED, SEEN, 1, 0.1)
            await recorder.answer(outcome, raw(*RECORDS))

    asyncio.run(collect())
    scope = {
        "contact_source": "gws",
        "is_whole": True,
        "custom_attributes": json.dumps(list(settings.asked_attributes)),
        "server_timezone": settings.timezone,
    }
    compact(layout, attempt, MAY, (Source.MAIN,), scope, SEEN)
    attempts.finish(attempt)
    lake = Lake(layout)
    lake.load()
    return lake


def found(lake: Lake) -> dict[str, list[Row]]:
    return {name: lake.table(name) for name in ("interactions", "interaction_attributes")}


def unresolved(lake: Lake) -> set[str]:
    return {row["payload"] for row in lake.table("rejects") if row["resolved_at"] is None}


def test_the_replay_ends_where_a_clean_run_would_have(
    tmp_path: Path, more_can_be_read: Any
) -> None:
    settings = settings_of(tmp_path / "a")
    lake = run(settings)
    assert len(unresolved(lake)) == 4
    more_can_be_read()
    done = replay(settings, lake.layout, LATER)
    warehouse.load(lake.layout, LATER)
    clean = run(settings_of(tmp_path / "b"))
    assert (done.records, done.landed) == (4, 1)
    assert found(lake) == found(clean)
    assert unresolved(lake) == unresolved(clean) == {json.dumps(RECORDS[3]), "5"}


def test_a_replay_that_can_read_no_more_changes_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    lake = run(settings)
    before = found(lake), lake.table("rejects")
    done = replay(settings, lake.layout, LATER)
    assert (done.records, done.landed, done.resolved) == (4, 0, [])
    assert not lake.layout.resolved.exists()
    warehouse.load(lake.layout, LATER)
    assert (found(lake), lake.table("rejects")) == before


def test_what_is_resolved_is_not_read_again_and_stays_so_in_a_rebuild(
    tmp_path: Path, more_can_be_read: Any
) -> None:
    settings = settings_of(tmp_path)
    lake = run(settings)
    more_can_be_read()
    replay(settings, lake.layout, LATER)
    assert replay(settings, lake.layout, LATER).records == 2
    warehouse.load(lake.layout, LATER)
    rejects = lake.table("rejects")
    assert {row["resolved_at"] for row in rejects} == {None, LATER}
    warehouse.rebuild(lake.layout, LATER)
    assert lake.table("rejects") == rejects


def test_a_later_runs_copy_stands_above_a_replayed_one(
    tmp_path: Path, more_can_be_read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    run(settings)
    monkeypatch.setitem(RECORDS[1], "startDate", RECORDS[0]["startDate"])
    monkeypatch.setitem(RECORDS[1], "subject", "newer")
    lake = run(settings, LATER)
    more_can_be_read()
    replay(settings, lake.layout, LATER)
    warehouse.load(lake.layout, LATER)
    assert lake.interaction("odd")["subject"] == "newer"


def test_an_empty_lake_has_nothing_to_replay(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert replay(settings, Layout(tmp_path), LATER).records == 0
    assert Window(MAY.start, MAY.end) == MAY
