"""Where Dagster keeps its own files, and who of its runs is dead.

DAGSTER_HOME is `data/dagster` unless the user set one; theirs is used as it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.instance import InstanceRef
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from history_pipeline.errors import ConfigurationError
from history_pipeline.storage import files, locks
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.processes import Process, this_process

PROCESS_TAG = "history_pipeline/process"
ATTEMPT_TAG = "history_pipeline/attempt"
DEFINITIONS = "history_pipeline.definitions"
"""What workspace.yaml loads, and what the UI calls the place."""

LOGS_KEPT = 90 * 86_400.0
"""Seconds for which the log of a run is kept."""

_PATIENCE = 60.0
"""Seconds until somebody else has opened Dagster's files, which takes one or two."""

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
    # the server is asked by one run at a time, by lock. Windows of `backfill` count here too, so
    # there is room for a run that waits until one of them ends. Of backfills from the UI, each of
    # which can be hundreds of runs, one waits at a time
    max_concurrent_runs: 4
    tag_concurrency_limits:
      - key: dagster/backfill
        limit: 1
    dequeue_interval_seconds: 1
retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days: 7
"""


def prepare(layout: Layout) -> Path:
    """Sets DAGSTER_HOME for this process where it is unset, and makes that directory.

    Raises ConfigurationError where the user's own is no directory.
    """
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    given = os.environ.get("DAGSTER_HOME")
    if given:
        theirs = Path(given).expanduser().absolute()
        if not theirs.is_dir():
            raise ConfigurationError(f"DAGSTER_HOME {theirs} is no directory; make it, or unset it")
        os.environ["DAGSTER_HOME"] = str(theirs)
        return theirs
    home = layout.dagster_home
    files.make_directory(home)
    config = home / "dagster.yaml"
    if not config.exists() or config.read_text(encoding="utf-8") != _DAGSTER_YAML:
        # one that another process is reading must not be half written
        fresh = config.with_name(f".{config.name}.{os.getpid()}")
        with files.storing(config):
            fresh.write_text(_DAGSTER_YAML, encoding="utf-8")
        files.replace(fresh, config)
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def instance(layout: Layout) -> DagsterInstance:
    """The instance for runs in this very process, which keeps what a step prints to itself.
    Dagster would capture it by way of four more processes, and a Ctrl-C would have each of them
    show a traceback. Raises LockTimeout, StorageError."""
    nothing = {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
    ref = InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides={"compute_logs": nothing})
    # of two processes that find no database, each makes the tables, and Dagster lets one fail
    with locks.exclusive(layout.dagster_lock, "opening Dagster's files", _PATIENCE):
        return DagsterInstance.from_ref(ref)


def sweep(home: Path, now: float) -> int:
    """Removes the logs of runs that ended long ago; returns how many. What the UI tells of assets
    and their partitions lies in another file, and stays. `now` is in seconds since 1970."""
    logs = home / "history" / "runs"
    old = [
        path
        for path in logs.glob("*.db")
        if path.name != "index.db" and now - path.stat().st_mtime > LOGS_KEPT
    ]
    for path in old:
        for each in (path, *logs.glob(f"{path.name}-*"), home / "storage" / path.stem):
            files.remove_tree(each)
    return len(old)


def process_tag(run_id: str) -> dict[str, str]:
    """Says which process a run is in, so that others can tell whether it still lives. The run's
    own id is a part of it, because a re-execution inherits the tags of the run before."""
    mine = this_process()
    return {PROCESS_TAG: f"{run_id[:8]} in {mine.pid}@{mine.started} on {mine.host}"}


def mark(instance: DagsterInstance, run_id: str) -> None:
    """Notes in a run that it is in this process."""
    instance.add_run_tags(run_id, process_tag(run_id))


def name_origin(instance: DagsterInstance, run_id: str) -> None:
    """Notes where the UI finds the job of a run that it did not launch itself; without it,
    «Re-execute» ends in an error. Call it when the run has ended: it writes the whole run."""
    run = instance.get_run_by_id(run_id)
    if run is not None:
        origin = ManagedGrpcPythonEnvCodeLocationOrigin(
            LoadableTargetOrigin(module_name=DEFINITIONS), location_name=DEFINITIONS
        )
        repository = RemoteRepositoryOrigin(origin, SINGLETON_REPOSITORY_NAME)
        instance.run_storage.replace_job_origin(run, repository.get_job_origin(run.job_name))


def bury_the_dead(instance: DagsterInstance) -> int:
    """Marks our own runs whose process is gone as failed: nobody else ever will, and the queue
    counts them as running. Returns how many. Runs of other machines are left alone."""
    unfinished = RunsFilter(
        statuses=[
            DagsterRunStatus.STARTED,
            DagsterRunStatus.STARTING,
            DagsterRunStatus.NOT_STARTED,
            DagsterRunStatus.CANCELING,
        ]
    )
    dead = [
        run
        for run in instance.get_runs(unfinished)
        if _is_dead(run.run_id, run.tags.get(PROCESS_TAG, ""))
    ]
    for run in dead:
        instance.report_run_failed(run, "the process of this run has ended without finishing it")
    return len(dead)


def _is_dead(run_id: str, tag: str) -> bool:
    own, _, place = tag.partition(" in ")
    process, _, host = place.partition(" on ")
    pid, _, started = process.partition("@")
    if own != run_id[:8] or not pid.isdigit():
        return False
    return Process(int(pid), started, host).is_dead
