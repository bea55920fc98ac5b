"""Dagster runs in this process, on the instance that the UI shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import dagster as dg

from history_pipeline.defs import home, loading, partitions
from history_pipeline.defs.models import end_builds, model_keys
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.extraction import Progress
from history_pipeline.model import Window

_CONTACTS = [dg.AssetKey("contacts")]
_AFTER = [dg.AssetKey("warehouse"), *model_keys, dg.AssetKey("published")]
_HISTORY = [dg.AssetKey("interactions"), *_AFTER]
_LOGGERS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Launcher:
    """Runs assets of the `daily` job; a step's own error is raised as it is."""

    def __init__(self, progress: Progress, server_patience: float) -> None:
        # that somebody else is at work is said at once, as long as nothing is under way
        self._pipeline = Pipeline(progress, patience=0, server_patience=server_patience)
        self._instance = home.instance()
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

    def _run(self, keys: Sequence[dg.AssetKey], tags: Mapping[str, str]) -> None:
        run_id = str(uuid.uuid4())
        try:
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
