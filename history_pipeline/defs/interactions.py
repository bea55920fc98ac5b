"""`interactions`: the history of the listed contacts, for some days, into the lake."""

import dagster as dg

from history_pipeline.defs import partitions, shown, turns
from history_pipeline.defs.contacts import contacts
from history_pipeline.defs.ownership import OWNERS
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.extraction import Extraction, extract
from history_pipeline.history.running import run
from history_pipeline.model import TRUNCATED, RequestState, Window


@dg.asset(
    deps=[contacts],
    partitions_def=partitions.days,
    backfill_policy=partitions.policy,
    group_name="history",
    kinds={"python", "parquet"},
    owners=OWNERS,
    check_specs=[
        dg.AssetCheckSpec(
            "every_request_answered",
            asset="interactions",
            description="No request of the latest run failed: each was answered, or its contact is "
            "gone, or its source is not offered. marts.data_completeness tells it of every day.",
        ),
        dg.AssetCheckSpec(
            "sources_available",
            asset="interactions",
            description="The server offers every source that the latest run asked.",
        ),
        dg.AssetCheckSpec(
            "answers_are_whole",
            asset="interactions",
            description="No answer of the latest run was cut beyond what its parts could prove, "
            "and those that were audited were the same the other way round.",
        ),
    ],
)
def interactions(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """Answers of RetrieveContactHistory, flattened; one Parquet file a day in the lake.

    A day is one of the server's zone. All days of a run are asked for together: a request covers
    one contact, all of these days and one source. Where they end with yesterday, interactions of
    earlier days that were open are asked again, with 5 % more requests at most. Days rerun here
    reach analysts when `warehouse` and all after it are materialized.
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
                patience=pipeline.server_patience,
                wait=turns.wait(pipeline.patience),
            )
        )
    pipeline.be_patient()
    shown.tell(context.log, extraction, window)
    shown.tell_again(context.log, extraction)
    asked = shown.requests(extraction, window)
    for day in window:
        context.add_asset_metadata(
            shown.day(pipeline.layout, day, asked), partition_key=day.isoformat()
        )
    return dg.MaterializeResult(check_results=_checks(extraction, window))


def _checks(extraction: Extraction, window: Window) -> list[dg.AssetCheckResult]:
    states, missing = shown.states(extraction), shown.unavailable(extraction)
    failed, planned = states[RequestState.FAILED], sum(states.values())
    unavailable = [source for source, requests in missing.items() if requests]
    return [
        _whole(extraction, window),
        dg.AssetCheckResult(
            check_name="every_request_answered",
            passed=failed == 0,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{failed:,} of {planned:,} requests failed; what was answered is kept"
            if failed
            else f"{planned:,} requests, none failed",
            metadata={
                "days": shown.days(window),
                "requests failed": failed,
                **shown.reasons(extraction),
                **shown.remedy(
                    failed == 0,
                    "materialize these days again, or: history-pipeline backfill "
                    f"--from {window.start} --to {window.last} --only-failed",
                    "raw_gws.requests where state = 'failed'",
                ),
            },
        ),
        dg.AssetCheckResult(
            check_name="sources_available",
            passed=not unavailable,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"the server does not offer {' and '.join(unavailable)}"
            if unavailable
            else f"{' and '.join(missing) or 'nothing'} asked and offered",
            metadata={
                "days": shown.days(window),
                **{f"requests unavailable in {source}": n for source, n in missing.items()},
                **shown.remedy(
                    not unavailable,
                    "have it enabled on the server, or leave it out of HISTORY_SOURCES",
                ),
            },
        ),
    ]


def _whole(extraction: Extraction, window: Window) -> dg.AssetCheckResult:
    findings, cut = extraction.findings, extraction.account.errors[TRUNCATED]
    passed = not cut and not findings.disagreed
    return dg.AssetCheckResult(
        check_name="answers_are_whole",
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{findings.parted:,} answers were asked for in parts, {cut:,} of them in "
        f"vain; {findings.audited:,} were audited, {findings.disagreed:,} of them disagreed",
        metadata={
            "days": shown.days(window),
            **shown.remedy(
                passed,
                "see «Answers that are cut» in docs/operating.md: have the server's limit raised, "
                "or ask in smaller windows (HISTORY_WINDOW_DAYS)",
                "raw_gws.requests where state = 'failed'",
            ),
        },
    )
