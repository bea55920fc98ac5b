"""`contacts`: the list of whom to ask for."""

import dagster as dg

from history_pipeline.contacts import reading
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.extraction import utc_now


@dg.asset(group_name="history", kinds={"python", "parquet"})
def contacts(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """Contact ids from HISTORY_CONTACTS, read until two passes agree; one row per contact."""
    listed = reading.read(pipeline.settings, pipeline.layout, utc_now())
    return dg.MaterializeResult(
        metadata={
            "contacts": listed.contacts,
            "known": listed.known,
            "passes": listed.passes,
            "passes_agree": listed.passes_agree,
        }
    )
