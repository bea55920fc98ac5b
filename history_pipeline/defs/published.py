"""`published`: the file that analysts read."""

import dagster as dg

from history_pipeline.defs import models
from history_pipeline.defs.pipeline import Pipeline


@dg.asset(deps=models.last_keys, group_name="history", kinds={"duckdb"})
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
