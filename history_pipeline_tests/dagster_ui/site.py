"""A site: a data directory, the environment of its operator, and what Dagster wrote down there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, DagsterEventType, DagsterRun, RunsFilter

from history_pipeline.storage.layout import Layout

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Site:
    root: Path
    told: dict[str, str]

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.told["HISTORY_DATA_DIR"]))

    @property
    def dagster_home(self) -> Path:
        return Path(self.told.get("DAGSTER_HOME") or self.layout.dagster_home)

    def environment(self, **more: str) -> dict[str, str]:
        """What a process of this site is given, and nothing of what the tests were started with."""
        return {**bare_environment(), **self.told, **more}

    def history_pipeline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_python(
            "from history_pipeline.cli import run; run()",
            *arguments,
            cwd=self.root,
            environment=self.environment(),
        )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.DagsterInstance.from_config(str(self.dagster_home)) as instance:
            yield instance

    def runs(self, **tags: str) -> list[DagsterRun]:
        """The newest first."""
        with self.instance() as instance:
            return list(instance.get_runs(RunsFilter(tags=tags)))

    def materializations(self, asset: str) -> dict[str | None, dict[str, Any]]:
        """The latest metadata of each partition; under None, where there are no partitions."""
        found: dict[str | None, dict[str, Any]] = {}
        for event in self._events(DagsterEventType.ASSET_MATERIALIZATION):
            materialization = event.step_materialization_data.materialization
            if materialization.asset_key == dg.AssetKey(asset):
                found[materialization.partition] = {
                    name: value.value for name, value in materialization.metadata.items()
                }
        return found

    def checks(self) -> dict[str, bool]:
        """By name, whether the latest evaluation passed."""
        return {evaluation.check_name: evaluation.passed for evaluation in self._evaluations()}

    def evaluations(self, check: str) -> list[dict[str, Any]]:
        """What a check has found, the newest last."""
        return [
            {
                "passed": evaluation.passed,
                "severity": evaluation.severity.value,
                "description": evaluation.description,
                "metadata": {name: value.value for name, value in evaluation.metadata.items()},
            }
            for evaluation in self._evaluations()
            if evaluation.check_name == check
        ]

    def _evaluations(self) -> list[AssetCheckEvaluation]:
        events = self._events(DagsterEventType.ASSET_CHECK_EVALUATION)
        return [event.asset_check_evaluation_data for event in events]

    def _events(self, kind: DagsterEventType) -> list[dg.DagsterEvent]:
        with self.instance() as instance:
            return [
                entry.get_dagster_event()
                for run in reversed(list(instance.get_runs()))
                for entry in instance.all_logs(run.run_id, of_type=kind)
            ]


def bare_environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONUTF8": "1"}


def run_python(
    code: str, *arguments: str, cwd: Path, environment: dict[str, str], timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def history_requests(url: str) -> int:
    """How often the server has been asked for a contact's history."""
    with urllib.request.urlopen(f"{url}/simulator/stats", timeout=10) as reply:
        return int(json.load(reply)["operations"].get("RetrieveContactHistory", 0))
