"""`rebuild`: the warehouse anew from the lake, its days cut in the zone that is configured now."""

from __future__ import annotations

from datetime import UTC, datetime

from history_pipeline import settings as settings_module
from history_pipeline.cli.display import log_console, quiet
from history_pipeline.cli.exits import Exit
from history_pipeline.storage import identity, locks, publishing, recutting, warehouse


def run_rebuild() -> int:
    """Returns the exit status; raises PipelineError."""
    console = log_console()
    settings = settings_module.load()
    layout = identity.open_data_dir(
        settings.data_dir, server=settings.url, zone=settings.timezone, to_rebuild=True
    )
    publishing.check_target(layout)
    with locks.exclusive(layout.extraction_lock, "rebuilding", locks.DEADLINE):
        if identity.zone_of(layout) != settings.timezone:
            with warehouse.writing(layout, "cutting days anew"):
                files = recutting.recut(layout, settings.zone)
            console.print(f"{files} days cut anew in {settings.timezone}")
        loaded = warehouse.rebuild(layout, datetime.now(UTC))
        console.print(
            f"{loaded.interactions} interactions loaded from {loaded.day_files} days, with the "
            f"ledgers of {loaded.windows} windows"
        )
        from history_pipeline.defs import home, models

        home.prepare(layout)
        with quiet():
            published = models.publish(layout, settings)
    console.print(f"published: {published.path}")
    return Exit.COMPLETE
