"""A lake of an older format becomes one of this format, and nothing of it is lost.

`lakes/format_1` was written by the first version: two finished runs, and one that was killed.
"""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from history_pipeline.errors import LockTimeout, StorageError
from history_pipeline.model import Source
from history_pipeline.storage import attempts, files, identity, locks, migration
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LAKE_FORMAT
from history_pipeline_tests.storage.lake import (
    MAY,
    Lake,
    breaking,
    ledger_row,
    observation,
    run_moment,
    write_part,
)

FIRST = Path(__file__).parent / "lakes" / "format_1"
SERVER, ZONE = "https://gws.example.com", "Europe/Berlin"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIRST, tmp_path / "old"))


def opened(root: Path) -> Lake:
    return Lake(identity.open_data_dir(root, server=SERVER, zone=ZONE))


def test_all_that_it_held_is_loaded(old: Path) -> None:
    lake = opened(old)
    lake.load(1)
    assert {row["interaction_id"]: row["state"] for row in lake.table("interactions")} == {
        "a": "Stopped", "b": None,
    }  # fmt: skip
    assert lake.attributes("b") == {"OrderNo": "7"}
    assert len(lake.table("requests")) == 8
    assert len(lake.table("rejects")) == 1
    assert len(lake.table("contacts")) == 2
    assert lake.table("interaction_versions") == []


def test_it_is_noted_and_done_once(old: Path) -> None:
    lake = opened(old)
    assert json.loads(lake.layout.identity.read_text())["format"] == LAKE_FORMAT
    before = {path: path.stat().st_mtime_ns for path in lake.layout.day_files()}
    opened(old)
    assert {path: path.stat().st_mtime_ns for path in lake.layout.day_files()} == before


def test_what_changes_from_then_on_is_a_version(old: Path) -> None:
    lake = opened(old)
    ended = {"ended_at": run_moment(0), "ended_at_text": "2024-06-01 12:00:00.000+0000"}
    lake.run([observation("a", state="Reopened", run=3, **ended)], run=3, contacts=["c1", "c2"])
    lake.load(3)
    (version,) = lake.table("interaction_versions")
    assert version["state"] == "Stopped"
    assert version["unchanged_since"] == lake.interaction("a")["first_seen_at"]
    assert version["superseded_at"] == run_moment(3) + timedelta(seconds=1)


def test_the_run_that_was_killed_goes_on_with_what_it_had(old: Path) -> None:
    lake = opened(old)
    (attempt,) = [
        found
        for found in attempts.every(lake.layout)
        if (found.directory / "parts").exists()
    ]  # fmt: skip
    write_part(attempt, MAY, ledger=[
        ledger_row("c1", Source.ARCHIVE), ledger_row("c2", Source.MAIN),
        ledger_row("c2", Source.ARCHIVE),
    ])  # fmt: skip
    lake.compact(attempt)
    lake.load(2)
    assert lake.interaction("c")["first_seen_at"] == run_moment(2) + timedelta(seconds=1)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_and_repeated_it_ends_the_same(
    old: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", breaking(at, files.replace))
        with pytest.raises(StorageError, match="killed"):
            opened(old)
    test_all_that_it_held_is_loaded(old)


def test_it_waits_for_nobody_for_long(old: Path) -> None:
    layout = Layout(old)
    with (
        locks.exclusive(layout.extraction_lock, "extracting", 1),
        pytest.raises(LockTimeout, match="extraction.lock is held by process"),
    ):
        migration.to_present(layout, deadline=0.05)
    assert json.loads(layout.identity.read_text())["format"] == 1
