"""The one resource: settings and data directory, read when a run starts."""

from __future__ import annotations

from functools import cached_property

from history_pipeline import settings as settings_module
from history_pipeline.history.extraction import NoProgress, Progress
from history_pipeline.settings import Settings
from history_pipeline.storage import identity
from history_pipeline.storage.layout import Layout


class Pipeline:
    """What every asset needs. `progress` is told how far a collection is."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or NoProgress()

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
