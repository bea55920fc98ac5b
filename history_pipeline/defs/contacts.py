"""`contacts`: the list of whom to ask for."""

import dagster as dg

from history_pipeline.contacts import reading
from history_pipeline.defs import turns
from history_pipeline.defs.ownership import OWNERS
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.opening import utc_now


@dg.asset(group_name="history", kinds={"python", "parquet"}, owners=OWNERS)
def contacts(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """Whom to ask for: contact ids from HISTORY_CONTACTS, one row per contact.

    A list that can change is read until two passes agree. With `activity` the ids are found when
    `interactions` is materialized; here they are only counted.
    """
    with turns.awaited(pipeline.patience):
        listed = reading.read(
            pipeline.settings, pipeline.layout, utc_now(), wait=turns.wait(pipeline.patience)
        )
    return dg.MaterializeResult(
        metadata={
            "contacts listed now": listed.contacts,
            "contacts ever listed": listed.known,
            "passes over the list": listed.passes,
            "last two passes agree": listed.passes_agree,
        }
    )
