"""Exit status: one number for each thing that the caller can do about it."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path

from history_pipeline.errors import ConfigurationError, PipelineError, ServerUnusable


class Exit(IntEnum):
    COMPLETE = 0
    REQUESTS_FAILED = 1
    CONFIGURATION = 2
    SERVER = 3
    STORAGE = 4
    INTERRUPTED = 130


def status_of(exc: BaseException) -> int:
    """The exit status for an error, whatever it is wrapped in."""
    for cause in _causes(exc):
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
    for cause in _causes(exc):
        if isinstance(cause, PipelineError):
            return str(cause)
        if status_of(cause) > 128:
            return "stopped; what was answered is kept, and the same command goes on from there"
    place = traceback.extract_tb(exc.__traceback__)
    where = f" in {Path(place[-1].filename).name}:{place[-1].lineno}" if place else ""
    return f"unforeseen {type(exc).__name__}{where}; this is a fault of history-pipeline"


def guarded(command: Callable[[], None]) -> int:
    """Runs a command; prints what went wrong on stderr and returns the exit status."""
    number_of_term: list[int] = []

    def terminate(number: int, _: object) -> None:
        number_of_term.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    try:
        command()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else Exit.CONFIGURATION
    except BaseException as exc:  # noqa: BLE001 - the outermost border of the process
        status = status_of(exc)
        print(f"history-pipeline: {message_of(exc)}", file=sys.stderr)
        return 128 + number_of_term[0] if number_of_term else int(status)
    return Exit.COMPLETE


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)


def _is_dagsters_interrupt(exc: BaseException) -> bool:
    # named, not imported: importing Dagster costs a second that `check` need not spend
    return type(exc).__name__ == "DagsterExecutionInterruptedError"
