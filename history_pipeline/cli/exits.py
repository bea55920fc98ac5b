"""Exit status: one number for each thing that the caller can do about it."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from history_pipeline import logs
from history_pipeline.cli import stopping
from history_pipeline.errors import ConfigurationError, PipelineError, ServerUnusable, causes
from history_pipeline.history.running import SIGNALS


class Exit(IntEnum):
    COMPLETE = 0
    REQUESTS_FAILED = 1
    CONFIGURATION = 2
    SERVER = 3
    STORAGE = 4
    INTERRUPTED = 130


def status_of(exc: BaseException) -> int:
    """The exit status for an error, whatever it is wrapped in."""
    for cause in causes(exc):
        stopped_by = getattr(cause, "signal_number", None)
        if isinstance(stopped_by, int):
            return 128 + stopped_by
        if isinstance(cause, KeyboardInterrupt) or _is_dagsters_interrupt(cause):
            return Exit.INTERRUPTED
        if isinstance(cause, ConfigurationError):
            return Exit.CONFIGURATION
        if isinstance(cause, ServerUnusable):
            return Exit.SERVER
        if isinstance(cause, PipelineError):
            return Exit.STORAGE
    return Exit.STORAGE


def message_of(exc: BaseException) -> str:
    """What to tell: our own errors speak for themselves. Of foreign ones only the kind and the
    place are shown, because their texts may quote a customer's data."""
    for cause in causes(exc):
        if isinstance(cause, PipelineError):
            return str(cause)
        if status_of(cause) > 128:
            return stopping.MESSAGE
    place = traceback.extract_tb(exc.__traceback__)
    where = f" in {Path(place[-1].filename).name}:{place[-1].lineno}" if place else ""
    return f"unforeseen {type(exc).__name__}{where}; this is a fault of history-pipeline"


def guarded(command: Callable[[], None], grace: float = stopping.GRACE) -> int:
    """Runs a command; prints what went wrong on stderr and returns the exit status: 128 and the
    signal's number where one has stopped it. `grace` is in seconds."""
    witness = stopping.witness = stopping.Witness(grace)
    sys.unraisablehook = stopping.hide_what_breaks_off
    _interrupt_once()
    try:
        command()
    except BaseException as exc:  # noqa: BLE001 - the outermost border of the process
        if isinstance(exc, SystemExit) and exc.code != Exit.INTERRUPTED:
            return exc.code if isinstance(exc.code, int) else Exit.CONFIGURATION
        number = witness.told()
        if number is not None or isinstance(exc, SystemExit):
            # whatever error an interrupt became on its way up
            logs.last_words(stopping.MESSAGE)
            return 128 + (number or signal.SIGINT)
        logs.last_words(message_of(exc))
        return status_of(exc)
    return Exit.COMPLETE


def _interrupt_once() -> None:
    """Both signals raise KeyboardInterrupt; a second one does not disturb the end."""
    stopped: list[int] = []

    def interrupt(number: int, _: object) -> None:
        if not stopped:
            stopped.append(number)
            raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, interrupt)


def _is_dagsters_interrupt(exc: BaseException) -> bool:
    # named, not imported: importing Dagster costs a second that `check` need not spend
    return type(exc).__name__ == "DagsterExecutionInterruptedError"
