"""`status`: how the days stand, from the published file: as a calendar, and in numbers."""

from __future__ import annotations

from rich.table import Table

from history_pipeline import settings as settings_module
from history_pipeline.cli import calendar_lines
from history_pipeline.cli.display import own_console
from history_pipeline.cli.exits import Exit
from history_pipeline.errors import ConfigurationError
from history_pipeline.storage import completeness, identity


def run_status() -> int:
    """Prints a calendar of days and sources, and the spans of days that stand alike."""
    settings = settings_module.load()
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    if not layout.published.exists():
        raise ConfigurationError(
            f"nothing is published in {layout.root} yet; run `history-pipeline backfill` first"
        )
    console = own_console()
    for line in calendar_lines.lines(completeness.days(layout)):
        console.print(line, soft_wrap=True)
    table = Table("source", "from", "to", "days", "standing", "answered", "failed", "rejects")
    for span in completeness.spans(layout):
        table.add_row(*(str(cell) for cell in span))
    console.print(table)
    return Exit.COMPLETE
