"""What a person sees while it runs: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO, cast

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from history_pipeline import logs
from history_pipeline.model import Outcome, RequestState, Window

_LINE_EVERY = 10.0
_WIDE = 10_000


def own_console() -> Console:
    """A console on a copy of stdout: Dagster redirects the original while a step runs."""
    is_terminal = sys.stdout.isatty()
    copy = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    return Console(
        file=copy,
        force_terminal=is_terminal or None,
        width=None if is_terminal else 120,
        highlight=False,
    )


def log_console() -> Console:
    """The same for commands that run by themselves: what they say are log lines."""
    if not logs.is_json():
        return own_console()
    copy = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    lines = cast(TextIO, logs.Lines("history_pipeline.cli", copy))
    return Console(file=lines, width=_WIDE, force_terminal=False, no_color=True, highlight=False)


class CollectionProgress:
    """Tells how far a window is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: Counter[RequestState] = Counter()
        self._planned = self._done = 0
        self._window: Window | None = None
        self._printed = time.monotonic()
        self._bars: Progress | None = None
        self._bar: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[states]}"),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def window(self, window: Window, planned: int, done: int) -> None:
        self._window, self._planned, self._done = window, planned, done
        self._states.clear()
        self._printed = time.monotonic()
        if self._bars is not None:
            self._bar = self._bars.add_task(
                f"asking {window}", total=planned, completed=done, states=""
            )
        else:
            self._console.print(f"asking {window}: {planned} requests, {done} of them done")

    def outcome(self, outcome: Outcome) -> None:
        self._states[outcome.state] += 1
        self._done += 1
        if self._bars is not None and self._bar is not None:
            self._bars.update(self._bar, advance=1, states=self._text())
        elif time.monotonic() - self._printed >= _LINE_EVERY or self._done == self._planned:
            self._printed = time.monotonic()
            self._console.print(
                f"asking {self._window}: {self._done} of {self._planned} ({self._text()})"
            )

    def _text(self) -> str:
        return ", ".join(f"{count} {state.value}" for state, count in self._states.items())


class _WithoutDagstersRecord(io.TextIOBase):
    """Keeps from the screen what Dagster could not write into its own record: a page of SQL for
    each event. That it could not is told by the error that the run ends with."""

    _COMPLAINT = "Exception while writing logger call to event log"

    def __init__(self, screen: TextIO) -> None:
        self._screen = screen

    def write(self, text: str) -> int:
        if not text.startswith(self._COMPLAINT):
            self._screen.write(text)
        return len(text)

    def flush(self) -> None:
        self._screen.flush()

    def isatty(self) -> bool:
        return self._screen.isatty()

    def fileno(self) -> int:
        return self._screen.fileno()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Dagster and dbt talk to their UI and their log files; a terminal gets what it can use."""
    warnings.filterwarnings("ignore", module="dagster.*")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    with (
        contextlib.redirect_stderr(_WithoutDagstersRecord(sys.stderr)),
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123
        contextlib.redirect_stdout(nowhere),
    ):
        yield
