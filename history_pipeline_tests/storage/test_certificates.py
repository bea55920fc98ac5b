"""Certificates: what a run can show for itself, and a hash that knows content alone."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from history_pipeline.model import Source
from history_pipeline.storage import certificates, database, warehouse
from history_pipeline_tests.storage.lake import (
    MAY,
    Lake,
    observation,
    run_moment,
)

FAILED = {("c1", Source.ARCHIVE): "failed"}
D2 = date(2024, 5, 2)


def some() -> list[dict[str, Any]]:
    return [
        observation("a", attributes={"A": "1", "a": ""}, asked=["A", "a"]),
        observation("b", window_date=D2, contact_id=None),
        observation("c", contact_id="c2", requested_contact_id="c2", ended_at=run_moment(0)),
    ]


def hashes(lake: Lake) -> list[str]:
    rows = sorted(lake.table("certificates"), key=lambda row: row["loaded_at"])
    return [row["content_hash"] for row in rows]


def written(lake: Lake) -> list[Path]:
    return sorted(lake.layout.certificates.iterdir())


def test_a_run_is_certified_in_a_row_and_a_file(lake: Lake) -> None:
    attempt = lake.run(some(), contacts=["c1", "c2"], states=FAILED)
    lake.load()
    (row,) = lake.table("certificates")
    assert row.pop("content_hash") == json.loads(written(lake)[0].read_text())["content_hash"]
    assert row == {
        "run_id": attempt.run_id,
        "window_start": MAY.start,
        "window_end": MAY.end,
        "planned": 4,
        "answered": 3,
        "unavailable": 0,
        "gone": 0,
        "failed": 1,
        "interactions": 3,
        "attributes": 2,
        "rejects": 0,
        "fingerprint": "fingerprint",
        "loaded_at": run_moment(0) + timedelta(minutes=10),
    }
    (path,) = certificates.paths(lake.layout, attempt.run_id)
    told = json.loads(path.read_text())
    assert told["requests"]["archive"] == {
        "planned": 2, "answered": 1, "unavailable": 0, "gone": 0, "failed": 1,
    }  # fmt: skip
    assert (told["days"], told["zone"]) == (
        {"first": "2024-05-01", "end": "2024-06-01"},
        "Europe/Berlin",
    )
    assert '"c1"' not in path.read_text()


def test_the_hash_does_not_depend_on_order_or_on_when_it_was_seen(lake: Lake) -> None:
    lake.run(some(), contacts=["c1", "c2"])
    lake.load()
    again = [
        observation("b", run=1, window_date=D2, contact_id=None),
        observation("c", run=1, contact_id="c2", ended_at=run_moment(0)),
        observation("a", run=1, attributes={"a": "", "A": "1"}, asked=["A", "a"]),
    ]
    lake.run(again, run=1, contacts=["c1", "c2"])
    lake.load(run=1)
    first, second = hashes(lake)
    assert first == second


@pytest.mark.parametrize(
    "change",
    [
        {"state": "Stopped"},
        {"ended_at": datetime(2024, 5, 3, tzinfo=UTC)},
        {"contact_id": "c9"},
        {"subject": ""},
        {"attributes": {"A": "2", "a": ""}},
        {"attributes": {"A": "1"}},
        {"source": "archive"},
    ],
    ids=str,
)
def test_the_hash_changes_with_any_value(lake: Lake, change: dict[str, Any]) -> None:
    lake.run(some(), contacts=["c1", "c2"])
    lake.load()
    told = {"attributes": {"A": "1", "a": ""}, "asked": ["A", "a"]} | change
    lake.run([observation("a", run=1, **told)], run=1, contacts=["c1", "c2"])
    lake.load(run=1)
    first, second = hashes(lake)
    assert first != second


def test_a_warehouse_made_anew_has_the_certificates_that_were_given(lake: Lake) -> None:
    lake.run(some(), contacts=["c1", "c2"])
    lake.load()
    lake.run([observation("a", run=1, state="Stopped")], run=1, contacts=["c1", "c2"])
    lake.load(run=1)
    given = lake.table("certificates")
    warehouse.rebuild(lake.layout, run_moment(5))
    assert lake.table("certificates") == given
    with_content = given[-1]["content_hash"]
    assert hash_now(lake) == with_content, "the last one's days are as it left them"


def hash_now(lake: Lake) -> str:
    with database.reading(lake.layout.warehouse, lake.layout.scratch) as connection:
        return certificates.content_hash(connection, MAY.start, MAY.end)


def test_a_file_that_a_kill_has_prevented_is_written_by_the_next_load(lake: Lake) -> None:
    lake.run(some(), contacts=["c1", "c2"])
    lake.load()
    (path,) = written(lake)
    whole = path.read_text()
    path.unlink()
    lake.load()
    assert path.read_text() == whole


@pytest.mark.parametrize("spoilt", ["", "{", "[]", '{"run_id": 7}', "null"])
def test_a_file_that_cannot_be_read_is_given_anew(
    lake: Lake, spoilt: str, caplog: pytest.LogCaptureFixture
) -> None:
    lake.run(some(), contacts=["c1", "c2"])
    lake.load()
    (path,) = written(lake)
    given = json.loads(path.read_text())
    path.write_text(spoilt)
    with caplog.at_level(logging.WARNING):
        warehouse.rebuild(lake.layout, run_moment(5))
    assert "certified anew" in caplog.text
    anew = json.loads(path.read_text())
    assert anew.pop("loaded_at") == run_moment(5).isoformat()
    assert given.pop("loaded_at") == (run_moment(0) + timedelta(minutes=10)).isoformat()
    assert anew == given
