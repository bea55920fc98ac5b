"""`report`: a page of charts over what is published."""

from __future__ import annotations

from datetime import UTC, datetime

from history_pipeline import settings as settings_module
from history_pipeline.cli.display import own_console
from history_pipeline.cli.exits import Exit
from history_pipeline.errors import ConfigurationError
from history_pipeline.report import page
from history_pipeline.storage import identity


def run_report() -> int:
    """Returns the exit status; raises PipelineError."""
    settings = settings_module.load()
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    if not layout.published.exists():
        raise ConfigurationError(
            f"nothing is published in {layout.root} yet; run `history-pipeline backfill` first"
        )
    written = page.write(layout, server=settings.url, now=datetime.now(UTC))
    own_console().print(
        f"written: {written.path} ({written.size / 1e6:.1f} MB; it opens with no network)",
        soft_wrap=True,
    )
    return Exit.COMPLETE
