"""The library's way from contacts to the published file, as a process that can be killed.

dbt is left out: it writes nothing but the warehouse, under the lock, and is tested with the command.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, date, datetime

from history_pipeline import settings as settings_module
from history_pipeline.contacts import reading
from history_pipeline.history.extraction import extract
from history_pipeline.history.opening import open_attempt
from history_pipeline.model import Window
from history_pipeline.storage import attempts, identity, publishing, warehouse


def main(first: str, end: str) -> None:
    """Days from `first` to before `end`; as `backfill` does it, the attempt ends when all that it
    brought is published."""
    days = Window(date.fromisoformat(first), date.fromisoformat(end))
    settings = settings_module.load()
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    print_, now = attempts.fingerprint(settings), datetime.now(UTC)
    attempt = attempts.resumable(layout, days, print_, now, settings.zone)
    if attempt is None:
        reading.read(settings, layout, now)
        attempt = asyncio.run(open_attempt(settings, layout, days))
    asyncio.run(extract(settings, layout, days, run_id=attempt.run_id))
    warehouse.load(layout, datetime.now(UTC))
    publishing.mark_modelled(layout)
    publishing.publish(layout)
    attempts.finish(attempt)


if __name__ == "__main__":
    main(*sys.argv[1:])
