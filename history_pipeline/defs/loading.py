"""Everything that Dagster is told, in one place."""

from __future__ import annotations

import functools

import dagster as dg

from history_pipeline import logs
from history_pipeline.defs import console
from history_pipeline.defs.contacts import contacts
from history_pipeline.defs.environment import told
from history_pipeline.defs.interactions import interactions
from history_pipeline.defs.models import models
from history_pipeline.defs.pipeline import pipeline
from history_pipeline.defs.published import published
from history_pipeline.defs.report import report
from history_pipeline.defs.schedules import daily_backfill, everything
from history_pipeline.defs.sensors import dead_runs, failures
from history_pipeline.defs.warehouse import warehouse


@functools.cache
def load(resource: object = pipeline) -> dg.Definitions:
    """The definitions. They load without a usable configuration; runs need one. Whoever runs
    them in its own process may give the resource, a Pipeline."""
    logs.set_up(told("HISTORY_LOG_FORMAT"))
    console.set_up()
    return dg.Definitions(
        assets=[contacts, interactions, warehouse, models, published, report],
        jobs=[everything],
        schedules=[daily_backfill],
        resources={"pipeline": resource},
        sensors=[dead_runs, failures],
        # a step is one event loop; processes of their own would only cost their start
        executor=dg.in_process_executor,
    )
