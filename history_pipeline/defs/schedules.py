"""The jobs, and the daily run."""

import dagster as dg

from history_pipeline.defs import partitions
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.history.daily import LONGEST, days_to_ask
from history_pipeline.storage.warehouse_checks import first_incomplete_day

everything = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.all(),
    description="Everything for some days: contacts, their history, warehouse, models, the "
    "published file and the report.",
)


@dg.schedule(
    job=everything,
    cron_schedule="0 4 * * *",
    execution_timezone=partitions.days.timezone,
    description="Asks for the last HISTORY_LOOKBACK_DAYS days, or from the first incomplete one "
    f"where that is earlier: {LONGEST} days at most. It is off until somebody switches it on.",
)
def daily_backfill(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest:
    moment = context.scheduled_execution_time
    today = moment.astimezone(pipeline.settings.zone).date()
    window = days_to_ask(
        today,
        lookback=pipeline.settings.lookback_days,
        first_incomplete=first_incomplete_day(pipeline.layout, pipeline.settings.zone, moment),
        earliest=pipeline.settings.start_date,
    )
    return dg.RunRequest(
        run_key=f"daily-{today.isoformat()}",
        # before the rest of a long backfill that is queued
        tags={**partitions.range_tags(window), "dagster/priority": "1"},
    )
