"""`warehouse`: from the lake into DuckDB."""

import dagster as dg

from history_pipeline.defs.interactions import interactions
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.extraction import utc_now
from history_pipeline.storage import warehouse as loading
from history_pipeline.storage import warehouse_checks


@dg.asset(
    deps=[interactions],
    group_name="history",
    kinds={"duckdb"},
    check_specs=[
        dg.AssetCheckSpec(
            "no_duplicate_ids",
            asset="warehouse",
            description="raw_gws.interactions holds one row per interaction id.",
        ),
        dg.AssetCheckSpec(
            "rejects",
            asset="warehouse",
            description="No record is set aside. Those that are can be read in raw_gws.rejects.",
        ),
        dg.AssetCheckSpec(
            "freshness",
            asset="warehouse",
            description="No day is missing between the first one asked and yesterday.",
        ),
    ],
)
def warehouse(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """DuckDB tables in `raw_gws`: whatever the lake has and the warehouse had not."""
    loaded = loading.load(pipeline.layout, utc_now())
    with loading.writing(pipeline.layout, "checking the warehouse"):
        facts = warehouse_checks.inspect(pipeline.layout, pipeline.settings.zone, utc_now())
    return dg.MaterializeResult(
        metadata={
            "interactions": loaded.interactions,
            "attributes": loaded.attributes,
            "contacts": loaded.contacts,
            "day files loaded": loaded.day_files,
            "windows loaded": loaded.windows,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="no_duplicate_ids",
                passed=facts.duplicate_ids == 0,
                metadata={"duplicates": facts.duplicate_ids},
            ),
            dg.AssetCheckResult(
                check_name="rejects",
                passed=not facts.rejects,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "set aside": sum(facts.rejects.values()),
                    **{f"because: {reason}": count for reason, count in facts.rejects.items()},
                    "where to look": "raw_gws.rejects",
                },
            ),
            dg.AssetCheckResult(
                check_name="freshness",
                passed=facts.first_missing is None,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"what to do": facts.advice},
            ),
        ],
    )
