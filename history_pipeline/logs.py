"""Log lines: text for people, or one JSON object a line for machines (HISTORY_LOG_FORMAT=json).

Each object has `time` (UTC), `level`, `logger`, `message` and, where one is at work, `run_id`. Of
an exception it has the kind and the place alone: its text may quote a customer's data. Knows
logging; does not know who logs, nor Dagster.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

Format = Literal["text", "json"]

_PROGRAM = "history-pipeline"
_now: dict[str, str] = {}
"""What is at work in this process: one run at a time asks the server."""

log = logging.getLogger("history_pipeline")


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message(record),
            **_now,
            **self.more(record),
        }
        return json.dumps(facts)

    def message(self, record: logging.LogRecord) -> str:
        return record.getMessage()

    def more(self, record: logging.LogRecord) -> dict[str, Any]:
        """Further facts; some replace those of the process."""
        if not record.exc_info or record.exc_info[1] is None:
            return {}
        exc = record.exc_info[1]
        place = traceback.extract_tb(exc.__traceback__)
        where = f" in {Path(place[-1].filename).name}:{place[-1].lineno}" if place else ""
        return {"error": f"{type(exc).__name__}{where}"}


class ToStderr(logging.StreamHandler[TextIO]):
    """To whatever sys.stderr is at the moment: it is redirected while Dagster is at work."""

    def __init__(self, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(formatter)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class Lines(io.TextIOBase):
    """A text stream whose lines become JSON on another stream."""

    def __init__(self, logger: str, stream: TextIO) -> None:
        self._logger = logger
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            if line.strip():
                record = logging.LogRecord(
                    self._logger, logging.INFO, "", 0, line.rstrip(), None, None
                )
                self._stream.write(f"{JsonLines().format(record)}\n")
        self.flush()
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def set_up(format_: str | None) -> None:
    """Has all loggers write JSON, where that is asked for. Any other word means text here: the
    settings name it beside their other mistakes."""
    if format_ != "json" or is_json():
        return
    handler = ToStderr(JsonLines())
    handler.setLevel(logging.WARNING)  # what is said without any handler, too
    handler.addFilter(_is_not_told_elsewhere)
    logging.getLogger().addHandler(handler)
    logging.captureWarnings(True)


def _is_not_told_elsewhere(record: logging.LogRecord) -> bool:
    """Programs such as Dagster's bring handlers of their own."""
    family = logging.getLogger(record.name.partition(".")[0])
    return family is logging.getLogger() or not family.handlers


def is_json() -> bool:
    """Whether this process writes JSON."""
    return any(isinstance(each, ToStderr) for each in logging.getLogger().handlers)


def name_run(run_id: str) -> None:
    """From here on, lines belong to this run."""
    _now["run_id"] = run_id


def last_words(text: str) -> None:
    """What a command that did not succeed has to say."""
    if is_json():
        log.error(text)
    else:
        print(f"{_PROGRAM}: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def printed_by(logger: str) -> Iterator[None]:
    """What is printed in the block becomes lines of this logger; text stays as it is."""
    if not is_json():
        yield
        return
    with contextlib.redirect_stdout(Lines(logger, sys.stdout)):
        yield
