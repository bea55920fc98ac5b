"""What is told of a run that failed, or that ended with requests unanswered: counts, days and ids.

Knows Dagster's events and the attempts below the data directory; does not know where a notice goes.
No secret and no customer's text is in one, for our own errors have none and others are not quoted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation, DagsterEvent, DagsterEventType, DagsterRunStatus

from history_pipeline.defs import home, reasons
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.defs.reasons import Reason
from history_pipeline.errors import PipelineError
from history_pipeline.history.plan import windows
from history_pipeline.model import RequestState, Window
from history_pipeline.storage import attempts, parts, runs
from history_pipeline.storage.attempts import Attempt

ANSWERED_CHECK = "every_request_answered"
TOLD_CHECKS = (ANSWERED_CHECK, "no_duplicate_ids")
"""Others warn, or are red for days of which this run is innocent."""

_EVENTS = {
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_CHECK_EVALUATION,
}
_LONGEST = 500


def of(instance: dg.DagsterInstance, record: dg.RunRecord, pipeline: Pipeline) -> Any:
    """The notice of a run that has ended, as JSON's own types; None where there is nothing to
    tell."""
    run = record.dagster_run
    entries = instance.all_logs(run.run_id, of_type=_EVENTS)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    red = [check for check in _checks(events) if not check.passed]
    if run.status is not DagsterRunStatus.FAILURE and not red:
        return None
    step, reason = _failure(events) if run.status is DagsterRunStatus.FAILURE else _unmet(red)
    days = _days(run)
    attempt, account = _account(events, run, days, pipeline)
    told = reason.text.splitlines()[0] if reason.text else ""
    return {
        "text": f"history_pipeline: {run.job_name} {days or ''}: {told}",
        "event": "run_failed" if run.status is DagsterRunStatus.FAILURE else "check_failed",
        "job": run.job_name,
        "run_id": run.run_id,
        "attempt": attempt,
        "days": {"from": days.start.isoformat(), "to": days.last.isoformat()} if days else None,
        "step": step,
        "status": reason.status,
        "reason": reason.text,
        "account": account,
        "checks_failed": sorted({check.check_name for check in red}),
        "ended_at": datetime.fromtimestamp(record.end_time or 0, UTC).isoformat(timespec="seconds"),
    }


def _checks(events: Iterable[DagsterEvent]) -> list[AssetCheckEvaluation]:
    found = [
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    return [check for check in found if check.check_name in TOLD_CHECKS]


def _failure(events: Sequence[DagsterEvent]) -> tuple[str | None, Reason]:
    """The first step that failed, and why; without one, what Dagster says of the run."""
    for event in events:
        if event.event_type is DagsterEventType.STEP_FAILURE:
            return event.step_key, reasons.of(event.step_failure_data.error)
    for event in events:
        if event.event_type is DagsterEventType.RUN_FAILURE:
            # a run that was marked as failed from outside has no data
            error = getattr(event.event_specific_data, "error", None)
            if error is not None:
                return None, reasons.of(error)
            return None, Reason(reasons.OTHER, (event.message or "the run ended early")[:_LONGEST])
    return None, reasons.of(None)


def _unmet(red: Sequence[AssetCheckEvaluation]) -> tuple[str | None, Reason]:
    unanswered = any(check.check_name == ANSWERED_CHECK for check in red)
    status = reasons.REQUESTS_FAILED if unanswered else reasons.OTHER
    step = "/".join(red[0].asset_key.path)
    return step, Reason(status, "; ".join(check.description or check.check_name for check in red))


def _days(run: dg.DagsterRun) -> Window | None:
    one = run.tags.get("dagster/partition")
    first = run.tags.get("dagster/asset_partition_range_start", one)
    last = run.tags.get("dagster/asset_partition_range_end", one)
    if not first or not last:
        return None
    return Window(date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1))


def _account(
    events: Iterable[DagsterEvent], run: dg.DagsterRun, days: Window | None, pipeline: Pipeline
) -> tuple[str | None, dict[str, Any] | None]:
    """Whose requests these are in `raw_gws`, and how they ended: what the asset has said, or else
    what the attempt has put down so far."""
    for event in events:
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            materialization = event.step_materialization_data.materialization
            if materialization.asset_key == dg.AssetKey("interactions"):
                said: dict[str, Any] = {k: v.value for k, v in materialization.metadata.items()}
                states = {each.value: said.get(f"requests {each.value}") for each in RequestState}
                counts = {"planned": said.get("requests planned"), **states, "open": 0}
                return said.get("run_id in raw_gws"), counts
    if days is None:
        return None, None
    try:
        attempt = _attempt(run, days, pipeline)
        return (attempt.run_id, _so_far(attempt, days, pipeline)) if attempt else (None, None)
    except PipelineError:
        return None, None  # without a usable configuration, or with damaged files


def _attempt(run: dg.DagsterRun, days: Window, pipeline: Pipeline) -> Attempt | None:
    own = run.tags.get(home.ATTEMPT_TAG)
    if own is not None:
        return attempts.by_id(pipeline.layout, own)
    unfinished = (each for each in attempts.every(pipeline.layout) if not each.is_finished)
    same = (each for each in unfinished if each.days == days)
    return max(same, key=lambda each: each.started_at, default=None)


def _so_far(attempt: Attempt, days: Window, pipeline: Pipeline) -> dict[str, int]:
    settings, layout = pipeline.settings, pipeline.layout
    planned, states = 0, Counter[str]()
    for window in windows(attempt.days, settings.window_days):
        if window.start not in days:
            continue
        if layout.window_ledger(attempt.run_id, window).exists():
            for account in runs.accounts(layout, attempt.run_id, window):
                planned += account.planned
                states.update({state.value: n for state, n in account.states.items()})
        else:
            planned += attempt.planned(window, settings.sources).requests(len(settings.sources))
            settled = parts.settled(attempt.window_directory(window))
            states.update(settled["state"].to_pylist())
    counts = {state.value: states[state.value] for state in RequestState}
    return {"planned": planned, **counts, "open": planned - sum(counts.values())}
