"""What is looked after while Dagster's daemon runs."""

import dagster as dg

from history_pipeline.defs import home


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs whose process has died as failed: their place in the queue is free.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    buried = home.bury_the_dead(context.instance)
    return dg.SkipReason(f"{buried} runs of dead processes were marked as failed")
