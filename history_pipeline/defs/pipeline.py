"""The one resource: settings and data directory, read when a run starts."""

from __future__ import annotations

from functools import cached_property

import dagster as dg

from history_pipeline import logs
from history_pipeline import settings as settings_module
from history_pipeline.defs import home
from history_pipeline.gws import insisting
from history_pipeline.history.extraction import NoProgress, Progress
from history_pipeline.settings import Settings
from history_pipeline.storage import identity
from history_pipeline.storage.layout import Layout

PATIENCE = 24 * 60
"""Minutes that a step waits for its turn: as long as an attempt may be gone on with."""


class Pipeline:
    """What every asset needs.

    `progress` is told how far a collection is. `attempt` is the run that `backfill` has opened
    and whose windows it asks for one by one; a run from the UI, a re-execution of one of
    `backfill`'s included, is an attempt of its own. `patience` is how many minutes a step waits
    while another run asks the server, `server_patience` how many
    seconds the server may be unusable.
    """

    def __init__(
        self,
        progress: Progress | None = None,
        attempt: str | None = None,
        patience: int = PATIENCE,
        server_patience: float = insisting.PATIENCE,
    ) -> None:
        self.progress = progress or NoProgress()
        self.attempt = attempt
        self.patience = patience
        self.server_patience = server_patience

    def be_patient(self) -> None:
        """Something is under way by now: from here on each step waits for its turn."""
        self.patience = PATIENCE

    @cached_property
    def settings(self) -> Settings:
        """Raises ConfigurationError that names every mistake."""
        return settings_module.load()

    @cached_property
    def layout(self) -> Layout:
        """Raises ConfigurationError where the data belong to another server or zone."""
        return identity.open_data_dir(
            self.settings.data_dir, server=self.settings.url, zone=self.settings.timezone
        )


@dg.resource
def pipeline(init: dg.InitResourceContext) -> Pipeline:
    """Made anew for each run, which it marks with the process that it runs in."""
    if init.run is not None and init.instance is not None:
        home.mark(init.instance, init.run.run_id)
        logs.name_run(init.run.run_id)
    return Pipeline()
