"""What a run in Dagster prints, as JSON lines: the run's own messages, and Dagster's events."""

from __future__ import annotations

import logging
from typing import Any

from history_pipeline import logs
from history_pipeline.defs import reasons


class EventLines(logs.JsonLines):
    """Knows how Dagster marks a record with its run, its step and its event."""

    def message(self, record: logging.LogRecord) -> str:
        # Dagster's own text has run and step before it, and an error's whole traceback behind
        return str(_marks(record).get("orig_message") or record.getMessage())

    def more(self, record: logging.LogRecord) -> dict[str, Any]:
        marks = _marks(record)
        event = marks.get("dagster_event")
        known = {
            "run_id": marks.get("run_id"),
            "job": marks.get("job_name"),
            "step": marks.get("step_key"),
            "event": event.event_type_value if event else None,
        }
        error = getattr(event.event_specific_data, "error", None) if event else None
        reason = {"error": reasons.of(error).text} if error else {}
        return super().more(record) | {k: v for k, v in known.items() if v} | reason


def _marks(record: logging.LogRecord) -> dict[str, Any]:
    return getattr(record, "dagster_meta", None) or {}


class RunLogger(logging.Logger):
    """The logger that a run prints with. Dagster makes one for each run, of whatever class logging
    says; one that a job names would be asked only by runs whose configuration names it too."""

    def addHandler(self, hdlr: logging.Handler) -> None:
        if self.name == "dagster":
            hdlr.setFormatter(EventLines())
        super().addHandler(hdlr)


def set_up() -> None:
    """Has runs of this process print JSON, where its log lines are."""
    if logs.is_json():
        logging.setLoggerClass(RunLogger)
