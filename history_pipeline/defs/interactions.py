"""`interactions`: the history of the listed contacts, for some days, into the lake."""

from typing import Any

import dagster as dg

from history_pipeline.defs import partitions
from history_pipeline.defs.contacts import contacts
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.extraction import Extraction, extract
from history_pipeline.history.running import run
from history_pipeline.model import RequestState, Source
from history_pipeline.storage.preview import preview


class Range(dg.Config):
    """`run_id` names the attempt that these days are a part of; `backfill` sets it."""

    run_id: str | None = None


@dg.asset(
    deps=[contacts],
    partitions_def=partitions.days,
    backfill_policy=partitions.policy,
    group_name="extraction",
    kinds={"python", "parquet"},
    check_specs=[
        dg.AssetCheckSpec(
            "every_request_answered",
            asset="interactions",
            description="Each planned request was answered, or its contact is gone.",
        ),
        dg.AssetCheckSpec(
            "sources_available",
            asset="interactions",
            description="The server offers every source that is configured.",
        ),
    ],
)
def interactions(
    context: dg.AssetExecutionContext, config: Range, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """Answers of RetrieveContactHistory, flattened; one row per interaction and day file."""
    window = partitions.window_of(context.partition_key_range)
    extraction = run(
        extract(
            pipeline.settings,
            pipeline.layout,
            window,
            run_id=config.run_id,
            progress=pipeline.progress,
        )
    )
    return dg.MaterializeResult(
        metadata=_metadata(extraction) | {"preview": preview(pipeline.layout, window)},
        check_results=_checks(extraction),
    )


def _metadata(extraction: Extraction) -> dict[str, Any]:
    account = extraction.account
    rate = account.asked / account.seconds if account.seconds else 0.0
    p50, p99 = account.latencies.quantile(0.5), account.latencies.quantile(0.99)
    return {
        "run": extraction.run_id,
        **{f"requests {state.value}": count for state, count in _states(extraction).items()},
        "requests planned": sum(_states(extraction).values()),
        "interactions": sum(a.interactions for _, each in extraction.windows for a in each),
        "rejects": sum(a.rejects for _, each in extraction.windows for a in each),
        "retries": account.retries,
        "requests a second": round(rate, 1),
        "latency p50 (s)": round(p50, 3) if p50 is not None else None,
        "latency p99 (s)": round(p99, 3) if p99 is not None else None,
        "reasons of failure": dict(account.errors),
        "warnings": extraction.warnings,
    }


def _states(extraction: Extraction) -> dict[RequestState, int]:
    accounts = [account for _, each in extraction.windows for account in each]
    return {state: sum(account.states[state] for account in accounts) for state in RequestState}


def _checks(extraction: Extraction) -> list[dg.AssetCheckResult]:
    failed = _states(extraction)[RequestState.FAILED]
    accounts = [account for _, each in extraction.windows for account in each]
    missing = {
        source.value: sum(
            account.states[RequestState.UNAVAILABLE]
            for account in accounts
            if account.source is source
        )
        for source in Source
    }
    return [
        dg.AssetCheckResult(
            check_name="every_request_answered",
            passed=failed == 0,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"failed": failed, "reasons": dict(extraction.account.errors)},
        ),
        dg.AssetCheckResult(
            check_name="sources_available",
            passed=not any(missing.values()),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={f"unavailable in {source}": count for source, count in missing.items()},
        ),
    ]
