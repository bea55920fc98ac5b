"""Days as Dagster's partitions, in the server's zone."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from history_pipeline.defs.environment import told
from history_pipeline.model import Window
from history_pipeline.settings import DEFAULT_START_DATE

DEFAULT_WINDOW_DAYS = 31


def _environment_zone() -> str:
    """Definitions must load without a usable configuration; runs check it as a whole."""
    name = told("GWS_TIMEZONE") or "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return "UTC"
    return name


def _environment_start() -> str:
    try:
        return date.fromisoformat(told("HISTORY_START_DATE") or "").isoformat()
    except ValueError:
        return DEFAULT_START_DATE.isoformat()


def _environment_window_days() -> int:
    text = told("HISTORY_WINDOW_DAYS") or ""
    return int(text) if text.isdigit() and int(text) > 0 else DEFAULT_WINDOW_DAYS


days = dg.DailyPartitionsDefinition(start_date=_environment_start(), timezone=_environment_zone())

policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=_environment_window_days())
"""A run asks for all of its days at once: a year costs 12 requests a contact and source."""


def window_of(keys: dg.PartitionKeyRange) -> Window:
    """The days from the first key to the last, both included."""
    return Window(date.fromisoformat(keys.start), date.fromisoformat(keys.end) + timedelta(days=1))


def range_tags(window: Window) -> dict[str, str]:
    """What makes one Dagster run cover these partitions."""
    return {
        "dagster/asset_partition_range_start": window.start.isoformat(),
        "dagster/asset_partition_range_end": window.last.isoformat(),
    }
