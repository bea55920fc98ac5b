"""Dagster runs in this process, on the instance that the UI shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from history_pipeline.defs import home, loading, partitions
from history_pipeline.defs.models import model_keys
from history_pipeline.history.extraction import Progress
from history_pipeline.model import Window

_CONTACTS = [dg.AssetKey("contacts")]
_AFTER = [dg.AssetKey("warehouse"), *model_keys, dg.AssetKey("published")]
_HISTORY = [dg.AssetKey("interactions"), *_AFTER]
_LOGGERS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Launcher:
    """Runs assets of the `daily` job; a step's own error is raised as it is."""

    def __init__(self, progress: Progress) -> None:
        defs = loading.load()
        resources = defs.resources or {}
        resources["pipeline"].progress = progress
        self._instance = dg.DagsterInstance.get()
        self._job = defs.resolve_job_def("daily")
        home.bury_the_dead(self._instance)

    def refresh_contacts(self) -> None:
        self._run(_CONTACTS, {}, {})

    def backfill(self, window: Window, run_id: str) -> None:
        """Asks for one window as a part of the attempt `run_id`, loads it and publishes."""
        config = {"ops": {"interactions": {"config": {"run_id": run_id}}}}
        self._run(_HISTORY, partitions.range_tags(window), config)

    def load_and_publish(self) -> None:
        self._run(_AFTER, {}, {})

    def _run(
        self, keys: Sequence[dg.AssetKey], tags: Mapping[str, str], config: Mapping[str, Any]
    ) -> None:
        self._job.execute_in_process(
            instance=self._instance,
            asset_selection=list(keys),
            tags={**tags, home.PROCESS_TAG: home.process_mark()},
            run_config={**_LOGGERS, **config},
        )
