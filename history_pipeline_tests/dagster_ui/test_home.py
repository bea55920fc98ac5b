"""What is kept in Dagster's own home, and what is taken out of it."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from history_pipeline.defs import home, redaction
from history_pipeline.errors import StorageError
from history_pipeline.storage.layout import Layout

DAY = 86_400.0


def database(path: Path, *texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("create table event_logs (id integer primary key, event text)")
        connection.executemany("insert into event_logs (event) values (?)", [(t,) for t in texts])
    connection.close()
    return path


def test_logs_of_runs_that_ended_long_ago_are_removed_and_the_index_stays(tmp_path: Path) -> None:
    runs = tmp_path / "history" / "runs"
    old, young, index = (database(runs / f"{name}.db") for name in ("old", "young", "index"))
    (runs / "old.db-wal").write_bytes(b"")
    printed = tmp_path / "storage" / "old" / "compute_logs"
    printed.mkdir(parents=True)
    for path in (old, index):
        os.utime(path, (0, 0))
    now = young.stat().st_mtime + 89 * DAY
    assert home.sweep(tmp_path, now) == 1
    assert sorted(path.name for path in runs.iterdir()) == ["index.db", "young.db"]
    assert not printed.parent.exists()


def test_many_can_open_dagsters_files_for_the_first_time_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", "")
    home.prepare(layout)
    together = threading.Barrier(4)

    def opened() -> int:
        together.wait()
        with home.instance(layout) as instance:
            return instance.get_runs_count()

    with ThreadPoolExecutor(4) as threads:
        assert [each.result() for each in [threads.submit(opened) for _ in range(4)]] == [0] * 4


def test_names_are_taken_out_wherever_they_stand_as_a_whole(tmp_path: Path) -> None:
    record = json.dumps({"data": {"interaction_id": "0007", "media_type": "chat"}})
    path = database(
        tmp_path / "history" / "index.db", record, json.dumps({"nested": record}), "00071 0007x"
    )
    assert redaction.redact(tmp_path, {"0007"}) == 2
    with sqlite3.connect(path) as connection:
        texts = [text for (text,) in connection.execute("select event from event_logs")]
    connection.close()
    assert b'"0007' not in path.read_bytes()
    assert json.loads(texts[0])["data"] == {"interaction_id": "[forgotten]", "media_type": "chat"}
    assert json.loads(json.loads(texts[1])["nested"])["data"]["interaction_id"] == "[forgotten]"
    assert texts[2] == "00071 0007x"


def test_a_database_that_somebody_holds_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path / "index.db", '"0007"')
    monkeypatch.setattr(redaction, "_PATIENCE", 0.05)
    holder = sqlite3.connect(path)
    holder.execute("begin exclusive")
    with pytest.raises(StorageError, match=r"index\.db cannot be changed"):
        redaction.redact(tmp_path, {"0007"})
    holder.close()
