"""Where Dagster keeps its own files, and who of its runs is dead.

DAGSTER_HOME is `data/dagster` unless the user set one; theirs is used as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout

PROCESS_TAG = "history_pipeline/process"

_DAGSTER_YAML = """\
# Written by history_pipeline. To keep Dagster's files elsewhere, set DAGSTER_HOME.
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: 1
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days: 7
"""


def prepare(layout: Layout) -> Path:
    """Sets DAGSTER_HOME for this process where it is unset, and makes that directory."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    given = os.environ.get("DAGSTER_HOME")
    if given and Path(given).absolute() != layout.dagster_home:
        return Path(given)
    home = layout.dagster_home
    files.make_directory(home)
    config = home / "dagster.yaml"
    if not config.exists() or config.read_text(encoding="utf-8") != _DAGSTER_YAML:
        with files.storing(config):
            config.write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def process_mark() -> str:
    """This process, so that a later one can tell whether it still lives."""
    return f"{os.getpid()}@{_started(os.getpid())}"


def bury_the_dead(instance: DagsterInstance) -> int:
    """Marks our own runs whose process is gone as failed: nobody else ever will."""
    unfinished = RunsFilter(
        statuses=[
            DagsterRunStatus.STARTED,
            DagsterRunStatus.STARTING,
            DagsterRunStatus.NOT_STARTED,
        ]
    )
    dead = [
        run
        for run in instance.get_runs(unfinished)
        if PROCESS_TAG in run.tags and not _is_alive(run.tags[PROCESS_TAG])
    ]
    for run in dead:
        instance.report_run_failed(run, "the process of this run has ended without finishing it")
    return len(dead)


def _is_alive(mark: str) -> bool:
    pid, _, started = mark.partition("@")
    return pid.isdigit() and _started(int(pid)) == started


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks: process ids are used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "gone"
