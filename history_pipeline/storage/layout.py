"""Where everything lies below the data directory. Knows names only; touches no file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from history_pipeline.model import Window


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths, all from the data directory and the data themselves, never from the clock."""

    root: Path

    @property
    def identity(self) -> Path:
        return self.root / "identity.json"

    @property
    def forgotten(self) -> Path:
        return self.root / "forgotten.json"

    @property
    def receipts(self) -> Path:
        return self.root / "receipts"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def attempts(self) -> Path:
        return self.lake / "attempts"

    @property
    def days(self) -> Path:
        return self.lake / "days"

    @property
    def versions(self) -> Path:
        return self.lake / "versions"

    @property
    def ledger(self) -> Path:
        return self.lake / "ledger"

    @property
    def discovery(self) -> Path:
        """What was asked to find out who was active, a file a run."""
        return self.lake / "discovery"

    @property
    def certificates(self) -> Path:
        return self.lake / "certificates"

    @property
    def contacts(self) -> Path:
        return self.lake / "contacts.parquet"

    @property
    def resolved(self) -> Path:
        return self.lake / "resolved.parquet"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.root / "history.duckdb"

    @property
    def report(self) -> Path:
        """A page of charts over the published file."""
        return self.root / "report.html"

    @property
    def report_lock(self) -> Path:
        return self.root / "report.lock"

    @property
    def cache(self) -> Path:
        """What is made again where it is missing."""
        return self.root / "cache"

    @property
    def warehouse_lock(self) -> Path:
        return self.root / "warehouse.lock"

    @property
    def extraction_lock(self) -> Path:
        return self.root / "extraction.lock"

    @property
    def dagster_lock(self) -> Path:
        return self.root / "dagster.lock"

    @property
    def dagster_home(self) -> Path:
        return self.root / "dagster"

    @property
    def dbt(self) -> Path:
        """dbt's target and logs."""
        return self.root / "dbt"

    @property
    def scratch(self) -> Path:
        """Files of a step that is under way; whatever lies here may be removed."""
        return self.root / "tmp"

    def day(self, day: date, days: Path | None = None) -> Path:
        """A day's file, in `days` where that is not the lake's own directory."""
        return (days or self.days) / f"{day:%Y}" / f"{day.isoformat()}.parquet"

    def day_versions(self, day: date, versions: Path | None = None) -> Path:
        """The versions that a day's file has left behind."""
        return self.day(day, versions or self.versions)

    def day_files(self) -> list[Path]:
        return sorted(self.days.glob("*/[0-9]*.parquet"))

    def version_files(self) -> list[Path]:
        return sorted(self.versions.glob("*/[0-9]*.parquet"))

    def window_ledgers(self) -> list[Path]:
        """The directories of all finished windows."""
        return sorted(path for path in self.ledger.glob("[0-9]*") if path.is_dir())

    def discovery_ledger(self, run_id: str) -> Path:
        return self.discovery / f"{run_id}.parquet"

    def discovery_ledgers(self) -> list[Path]:
        return sorted(self.discovery.glob("[0-9]*.parquet"))

    def window_ledger(self, run_id: str, window: Window) -> Path:
        """The directory that a finished window leaves; its presence is the window's commit."""
        return self.ledger / f"{run_id}.{window.start.isoformat()}.{window.end.isoformat()}"
