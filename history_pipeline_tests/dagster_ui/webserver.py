"""Dagster's web server and daemon as `history-pipeline ui` starts them, and its GraphQL."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from history_pipeline_tests.dagster_ui.site import BIN, Site

T = TypeVar("T")

START_DEADLINE = 240.0
RUN_DEADLINE = 400.0
_IMPATIENT = Path(__file__).parent / "impatient"
_JOB = {
    "repositoryLocationName": "history_pipeline.definitions",
    "repositoryName": "__repository__",
}
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
_BACKFILL_ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}


@dataclass(frozen=True, slots=True)
class Ui:
    url: str
    site: Site

    def ask(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        assert not answer.get("errors"), answer["errors"]
        (value,) = answer["data"].values()
        assert "message" not in value, value
        return value

    def assets(self) -> list[list[str]]:
        nodes = self.ask("{ assetNodes { assetKey { path } } }")
        return [node["assetKey"]["path"] for node in nodes]

    def launch_backfill(self, assets: list[list[str]], days: list[str]) -> str:
        launched = self.ask(
            """mutation($given: LaunchBackfillParams!) {
                launchPartitionBackfill(backfillParams: $given) {
                    ... on LaunchBackfillSuccess { backfillId }
                    ... on PythonError { message }
                }
            }""",
            given={
                "assetSelection": [{"path": path} for path in assets],
                "partitionNames": days,
                "title": "every asset",
            },
        )
        return str(launched["backfillId"])

    def backfill_ended(self, backfill_id: str) -> dict[str, Any]:
        """The backfill, once it has ended, with its runs."""
        return waited_for(lambda: self._ended_backfill(backfill_id))

    def _ended_backfill(self, backfill_id: str) -> dict[str, Any] | None:
        backfill: dict[str, Any] = self.ask(
            """query($id: String!) {
                partitionBackfillOrError(backfillId: $id) {
                    ... on PartitionBackfill {
                        status
                        runs { id status assetSelection { path } tags { key value } }
                    }
                    ... on PythonError { message }
                }
            }""",
            id=backfill_id,
        )
        return backfill if backfill["status"] in _BACKFILL_ENDED else None

    def launch(
        self,
        job: str = "__ASSET_JOB",
        assets: list[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Launches a job, or some of its assets; the id of the run."""
        selection = [{"path": [asset]} for asset in assets] if assets else None
        launched = self.ask(
            """mutation($given: ExecutionParams!) {
                launchRun(executionParams: $given) {
                    ... on LaunchRunSuccess { run { runId } }
                    ... on PythonError { message }
                }
            }""",
            given={
                "selector": {**_JOB, "jobName": job, "assetSelection": selection},
                "executionMetadata": {
                    "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]
                },
            },
        )
        return str(launched["run"]["runId"])

    def re_execute(self, run_id: str, strategy: str) -> str:
        launched = self.ask(
            """mutation($given: ReexecutionParams!) {
                launchRunReexecution(reexecutionParams: $given) {
                    ... on LaunchRunSuccess { run { runId } }
                    ... on PythonError { message }
                }
            }""",
            given={"parentRunId": run_id, "strategy": strategy},
        )
        return str(launched["run"]["runId"])

    def terminate(self, run_id: str) -> None:
        """What the button «Terminate» does."""
        self.ask(
            """mutation($id: String!) {
                terminateRun(runId: $id) {
                    ... on TerminateRunSuccess { run { status } }
                    ... on TerminateRunFailure { message }
                    ... on RunNotFoundError { message }
                    ... on PythonError { message }
                }
            }""",
            id=run_id,
        )

    def run_ended(self, run_id: str) -> str:
        """How it ended."""
        return waited_for(lambda: self._ended_run(run_id))

    def _ended_run(self, run_id: str) -> str | None:
        run = self.ask(
            """query($id: ID!) {
                runOrError(runId: $id) { ... on Run { status } ... on PythonError { message } }
            }""",
            id=run_id,
        )
        return run["status"] if run["status"] in _ENDED else None

    def evaluate_schedule(self, name: str, moment: float) -> list[dict[str, str]]:
        """The tags of the runs that the schedule would ask for at that moment."""
        tick = self.ask(
            """mutation($selector: ScheduleSelector!, $moment: Float) {
                scheduleDryRun(selectorData: $selector, timestamp: $moment) {
                    ... on DryRunInstigationTick {
                        evaluationResult {
                            runRequests { tags { key value } }
                            error { message }
                        }
                    }
                    ... on PythonError { message }
                }
            }""",
            selector={**_JOB, "scheduleName": name},
            moment=moment,
        )["evaluationResult"]
        assert not tick["error"], tick["error"]
        return [
            {tag["key"]: tag["value"] for tag in request["tags"]} for request in tick["runRequests"]
        ]


@contextmanager
def ui(site: Site) -> Iterator[Ui]:
    """`history-pipeline ui` on this site, for as long as the block runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = site.root / "ui.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [BIN / "history-pipeline", "ui", "--port", str(port)],
            cwd=site.root,
            env=site.environment(PYTHONPATH=str(_IMPATIENT)),
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            opened = Ui(f"http://127.0.0.1:{port}", site)
            waited_for(lambda: _is_loaded(opened) or _is_over(process, log), START_DEADLINE)
            yield opened
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) is not None


def waited_for(look: Callable[[], T | None], deadline: float = RUN_DEADLINE) -> T:
    """What `look` sees, as soon as it sees something."""
    end = time.monotonic() + deadline
    while (seen := look()) is None:
        assert time.monotonic() < end, "it has not come to an end in time"
        time.sleep(0.3)
    return seen


def _is_loaded(opened: Ui) -> bool | None:
    try:
        return True if opened.assets() else None
    except (urllib.error.URLError, OSError):
        return None


def _is_over(process: subprocess.Popen[bytes], log: Path) -> None:
    assert process.poll() is None, log.read_text()
