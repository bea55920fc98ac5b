"""What is looked after while Dagster's daemon runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from history_pipeline import settings as settings_module
from history_pipeline.defs import home, notices
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.defs.webhook import Undelivered, Webhook

KEPT = 6 * 3600.0
"""Seconds for which a notice that nobody takes is tried again."""

_AT_ONCE = 30.0
"""Seconds after which the rest is left to the next look; Dagster ends a look after sixty."""

_MOST = 50
_ENDED = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE)


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs whose process has died as failed: their place in the queue is free.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    buried = home.bury_the_dead(context.instance)
    return dg.SkipReason(f"{buried} runs of dead processes were marked as failed")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Posts to HISTORY_WEBHOOK_URL what runs failed, and which ended with requests "
    "unanswered. Each is told once; one that the webhook does not take is tried again for six "
    "hours. Without the variable it does nothing.",
)
def failures(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.SkipReason:
    url = settings_module.load_webhook()
    if url is None:
        return dg.SkipReason("HISTORY_WEBHOOK_URL is not set")
    told = tell_failures(context, pipeline, Webhook(url), time.time())
    return dg.SkipReason(f"{told} notices were posted")


def tell_failures(
    context: dg.SensorEvaluationContext, pipeline: Pipeline, webhook: Webhook, now: float
) -> int:
    """Posts what is due at `now`, in seconds since 1970; returns how many notices that were. The
    cursor remembers which runs have been looked at. Raises Undelivered where none got through."""
    looked_at = _LookedAt.read(context.cursor, now)
    began, posted = time.monotonic(), 0
    for record in _due(context, looked_at):
        if time.monotonic() - began > _AT_ONCE:
            break
        notice = notices.of(context.instance, record, pipeline)
        if notice is not None:
            try:
                webhook.post(notice)
            except Undelivered:
                if not posted:
                    raise
                break
            posted += 1
        looked_at.runs[record.dagster_run.run_id] = record.end_time or now
    context.update_cursor(looked_at.written())
    return posted


def _due(context: dg.SensorEvaluationContext, looked_at: _LookedAt) -> Iterator[dg.RunRecord]:
    """Our runs that have ended since, and were not looked at; the oldest first."""
    records = context.instance.get_run_records(
        RunsFilter(statuses=_ENDED, updated_after=datetime.fromtimestamp(looked_at.since, UTC)),
        order_by="update_timestamp",
        ascending=True,
    )
    fresh = (
        record
        for record in records
        if (record.end_time or 0.0) >= looked_at.since
        and record.dagster_run.run_id not in looked_at.runs
        and _is_ours(record.dagster_run, context)
    )
    for record, _ in zip(fresh, range(_MOST), strict=False):
        yield record


def _is_ours(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """An instance may have other people's runs. Those of `backfill` were launched by no code
    location, and some of ours fail before they know that they are ours."""
    if home.PROCESS_TAG in run.tags:
        return True
    here, there = context.code_location_origin, run.remote_job_origin
    return here is not None and there is not None and there.location_name == here.location_name


@dataclass(slots=True)
class _LookedAt:
    """Runs that have ended since `since` and are done with, each with its end."""

    since: float
    runs: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None, now: float) -> _LookedAt:
        """The first look begins with now: what failed before is known."""
        if not cursor:
            return cls(now)
        kept = json.loads(cursor)
        since = max(float(kept["since"]), now - KEPT)
        return cls(since, {run: end for run, end in kept["runs"].items() if end >= since})

    def written(self) -> str:
        return json.dumps({"since": self.since, "runs": self.runs})
