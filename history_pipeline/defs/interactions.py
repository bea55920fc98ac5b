"""`interactions`: the history of the listed contacts, for some days, into the lake."""

import dagster as dg

from history_pipeline.defs import partitions, shown, turns
from history_pipeline.defs.contacts import contacts
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.extraction import Extraction, extract
from history_pipeline.history.running import run
from history_pipeline.model import RequestState, Window


@dg.asset(
    deps=[contacts],
    partitions_def=partitions.days,
    backfill_policy=partitions.policy,
    group_name="history",
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
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """Answers of RetrieveContactHistory, flattened; one Parquet file a day in the lake.

    All days of a run are asked for together: a request covers one contact, all of these days and
    one source. Days rerun here reach analysts when `warehouse` and all after it are materialized.
    """
    window = partitions.window_of(context.partition_key_range)
    with turns.awaited(pipeline.patience):
        extraction = run(
            extract(
                pipeline.settings,
                pipeline.layout,
                window,
                run_id=pipeline.attempt,
                progress=pipeline.progress,
            )
        )
    for day in window:
        context.add_asset_metadata(shown.day(pipeline.layout, day), partition_key=day.isoformat())
    return dg.MaterializeResult(
        metadata=shown.requests(extraction, window), check_results=_checks(extraction, window)
    )


def _checks(extraction: Extraction, window: Window) -> list[dg.AssetCheckResult]:
    states = shown.states(extraction)
    failed, unavailable = states[RequestState.FAILED], shown.unavailable(extraction)
    return [
        dg.AssetCheckResult(
            check_name="every_request_answered",
            passed=failed == 0,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{failed} of {sum(states.values())} requests failed"
            if failed
            else f"{sum(states.values())} requests, none failed",
            metadata={
                "days": str(window),
                "failed": failed,
                **shown.reasons(extraction),
                "where to look": "raw_gws.requests, where state = 'failed'",
            },
        ),
        dg.AssetCheckResult(
            check_name="sources_available",
            passed=not any(unavailable.values()),
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "days": str(window),
                **{f"contacts not asked in {source}": n for source, n in unavailable.items()},
            },
        ),
    ]
