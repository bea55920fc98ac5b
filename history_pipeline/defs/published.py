"""`published`: the file that analysts read."""

from datetime import timedelta

import dagster as dg

from history_pipeline.defs import models
from history_pipeline.defs.ownership import OWNERS
from history_pipeline.defs.pipeline import Pipeline

FRESH = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(hours=28), fail_window=timedelta(hours=52)
)
"""The daily run publishes each day; one may be late, two may not be missed."""


@dg.asset(
    deps=models.last_keys,
    group_name="history",
    kinds={"duckdb"},
    owners=OWNERS,
    freshness_policy=FRESH,
)
def published(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """The file that analysts read: `history.duckdb`, a copy of the warehouse with its models.

    It is replaced atomically: open readers keep what they have, and nobody sees half a load.
    """
    done = models.publish(pipeline.layout, pipeline.settings)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(done.path),
            "size (MB)": round(done.size / 1e6, 1),
            "interactions": done.interactions,
        }
    )
