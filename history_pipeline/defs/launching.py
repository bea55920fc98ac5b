"""Dagster runs in this process, on the instance that the UI shows."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import DBAPIError

from history_pipeline.defs import home, loading, partitions
from history_pipeline.defs.models import end_builds, model_keys
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.errors import PipelineError, causes
from history_pipeline.history.extraction import Progress
from history_pipeline.model import Window
from history_pipeline.storage import obstacles, space

_CONTACTS = [dg.AssetKey("contacts")]
_AFTER = [dg.AssetKey("warehouse"), *model_keys, dg.AssetKey("published")]
_HISTORY = [dg.AssetKey("interactions"), *_AFTER]
_REPORT = [dg.AssetKey("report")]
_LOGGERS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Launcher:
    """Runs assets of the `daily` job; a step's own error is raised as it is."""

    def __init__(self, progress: Progress, server_patience: float) -> None:
        with _writable():
            self._open(progress, server_patience)

    def _open(self, progress: Progress, server_patience: float) -> None:
        # that somebody else is at work is said at once, as long as nothing is under way
        self._pipeline = Pipeline(progress, patience=0, server_patience=server_patience)
        self._instance = home.instance(self._pipeline.layout)
        self._job = loading.load(self._pipeline).resolve_job_def("daily")
        home.bury_the_dead(self._instance)

    def refresh_contacts(self) -> None:
        self._run(_CONTACTS, {})

    def backfill(self, window: Window, run_id: str) -> None:
        """Asks for one window as a part of the attempt `run_id`, loads it and publishes."""
        self._pipeline.attempt = run_id
        self._run(_HISTORY, {**partitions.range_tags(window), home.ATTEMPT_TAG: run_id})

    def load_and_publish(self) -> None:
        self._run(_AFTER, {})

    def report(self) -> None:
        """Draws what is published."""
        self._run(_REPORT, {})

    def _run(self, keys: Sequence[dg.AssetKey], tags: Mapping[str, str]) -> None:
        run_id = str(uuid.uuid4())
        with _writable():
            try:
                # looked at before dbt is ended, for that makes room on a disk that was full
                with _writable():
                    self._job.execute_in_process(
                        instance=self._instance,
                        asset_selection=list(keys),
                        run_id=run_id,
                        tags={**tags, **home.process_tag(run_id)},
                        run_config=_LOGGERS,
                    )
            finally:
                end_builds()
                home.name_origin(self._instance, run_id)


@contextmanager
def _writable() -> Iterator[None]:
    """Where Dagster cannot write down what happens, that ends the run; a step's own error, which
    it could not write down either, goes first."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as exc:
        if any(isinstance(cause, PipelineError) for cause in causes(exc)):
            raise
        directory = Path(os.environ["DAGSTER_HOME"])
        space.must_be_writable(directory)
        number = exc.errno if isinstance(exc, OSError) else obstacles.number_in(str(exc))
        if isinstance(exc, OSError) and not obstacles.is_known(number):
            raise
        # SQLite's own words are a few, and hold nothing of what was to be stored
        reason = str(exc.orig) if isinstance(exc, DBAPIError) else type(exc).__name__
        raise obstacles.error(f"store Dagster's files in {directory}", number, reason) from exc
