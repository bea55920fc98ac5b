"""`warehouse`: from the lake into DuckDB."""

import dagster as dg

from history_pipeline.defs import shown
from history_pipeline.defs.interactions import interactions
from history_pipeline.defs.ownership import OWNERS
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.daily import LONGEST
from history_pipeline.history.opening import utc_now
from history_pipeline.storage import warehouse as loading
from history_pipeline.storage import warehouse_checks
from history_pipeline.storage.warehouse_checks import Facts


@dg.asset(
    deps=[interactions],
    group_name="history",
    kinds={"duckdb"},
    owners=OWNERS,
    check_specs=[
        dg.AssetCheckSpec(
            "no_duplicate_ids",
            asset="warehouse",
            description="raw_gws.interactions holds one row per interaction id.",
        ),
        dg.AssetCheckSpec(
            "rejects",
            asset="warehouse",
            description="No record is set aside because it cannot be read. One that is costs "
            "nothing else, and is resolved when it is read after all.",
        ),
        dg.AssetCheckSpec(
            "freshness",
            asset="warehouse",
            description="Every day is complete, from the first one asked to yesterday in the "
            "server's zone. A warning where the daily schedule will ask for what is missing, an "
            "error where it lies further back than that asks.",
        ),
    ],
)
def warehouse(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """The lake's files as tables of `warehouse.duckdb`, schema `raw_gws`: whatever the lake has and
    the warehouse had not.

    Only the pipeline opens this file; analysts read what `published` makes of it.
    """
    loaded = loading.load(pipeline.layout, utc_now())
    with loading.writing(pipeline.layout, "checking the warehouse"):
        facts = warehouse_checks.inspect(pipeline.layout, pipeline.settings.zone, utc_now())
    return dg.MaterializeResult(
        metadata={
            "rows of raw_gws.interactions": loaded.interactions,
            "rows of raw_gws.interaction_attributes": loaded.attributes,
            "rows of raw_gws.contacts": loaded.contacts,
            "day files loaded": loaded.day_files,
            "windows loaded": loaded.windows,
            **shown.certificates(loaded.certificates),
        },
        check_results=[_no_duplicate_ids(facts), _rejects(facts), _freshness(facts)],
    )


def _no_duplicate_ids(facts: Facts) -> dg.AssetCheckResult:
    passed = facts.duplicate_ids == 0
    return dg.AssetCheckResult(
        check_name="no_duplicate_ids",
        passed=passed,
        description="no id has two rows"
        if passed
        else f"{facts.duplicate_ids:,} rows have the id of another",
        metadata={
            "duplicates": facts.duplicate_ids,
            **shown.remedy(passed, "history-pipeline rebuild makes it anew from the lake"),
        },
    )


def _rejects(facts: Facts) -> dg.AssetCheckResult:
    rejects = sum(facts.rejects.values())
    return dg.AssetCheckResult(
        check_name="rejects",
        passed=rejects == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{rejects:,} records are set aside" if rejects else "no record is set aside",
        metadata={
            "records set aside": rejects,
            **shown.counted("reasons", "records", facts.rejects),
            **shown.remedy(
                rejects == 0,
                "look at what the server sent; history-pipeline rejects --replay reads it again",
                "raw_gws.rejects where resolved_at is null",
            ),
        },
    )


def _freshness(facts: Facts) -> dg.AssetCheckResult:
    missing = facts.first_missing
    behind = (facts.yesterday - missing).days + 1 if missing else 0
    return dg.AssetCheckResult(
        check_name="freshness",
        passed=missing is None,
        severity=dg.AssetCheckSeverity.WARN if behind <= LONGEST else dg.AssetCheckSeverity.ERROR,
        description=f"{missing} is the first day that is not complete"
        if missing
        else f"every day is complete up to {facts.yesterday}",
        metadata={
            "days since the first incomplete one": behind,
            **shown.remedy(missing is None, facts.advice, "marts.data_completeness"),
        },
    )
