"""SIGINT and SIGTERM: who has seen them, and how long the end may take.

Handlers change hands while a command runs: Dagster and the event loop have their own, some turn a
signal into an error of another kind, some forget it. So a witness stands beside them: Python's C
part writes the number of each signal into a socket, whoever handles it, and a thread reads it
there. When an orderly end has not come within the grace, because DuckDB or a disk cannot be
interrupted, the process ends as it is: like a kill, it costs the last two seconds of work.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading

from history_pipeline import logs
from history_pipeline.history.running import SIGNALS, Stopped

GRACE = 8.0
"""Seconds from the signal to the end: within ten, whatever is under way."""

MESSAGE = "stopped; what was answered is kept, and the same command goes on from there"

_LOOKS = 1.0
_SHOW_CURSOR = "\x1b[?25h"


class Witness:
    """Make it in the main thread, once per process; it stays until the process ends."""

    def __init__(self, grace: float = GRACE) -> None:
        self._grace: float | None = grace
        self._lock = threading.Lock()
        self._number: int | None = None
        self._inbox, outbox = socket.socketpair()
        self._inbox.setblocking(False)
        outbox.setblocking(False)
        signal.set_wakeup_fd(outbox.fileno(), warn_on_full_buffer=False)
        self._outbox = outbox
        threading.Thread(target=self._watch, name="stopping", daemon=True).start()

    def told(self) -> int | None:
        """The signal that this process was told to stop by, if it was."""
        with self._lock, contextlib.suppress(BlockingIOError):
            for number in self._inbox.recv(4096):
                if number in SIGNALS and self._number is None:
                    self._number = number
        return self._number

    def obey(self) -> None:
        """Raises Stopped if this process was told to stop, whoever has forgotten it since."""
        number = self.told()
        if number is not None:
            raise Stopped(number)

    def be_patient(self) -> None:
        """From here on the end may take as long as it takes."""
        self._grace = None

    def _watch(self) -> None:
        while self.told() is None:
            select.select([self._inbox], [], [], _LOOKS)
        if self._grace is not None:
            threading.Event().wait(self._grace)
            self._end()

    def _end(self) -> None:
        number = self._number or signal.SIGTERM
        if sys.stderr.isatty():
            print(_SHOW_CURSOR, end="", file=sys.stderr)
        logs.last_words(MESSAGE)
        os._exit(128 + number)


def hide_what_breaks_off(unraisable: sys.UnraisableHookArgs) -> None:
    """A hook for errors that nobody can catch: generators of Dagster's and dbt's that an interrupt
    has cut off complain when they are collected. Any other error is shown as usual."""
    if witness is None or witness.told() is None:
        sys.__unraisablehook__(unraisable)


witness: Witness | None = None
"""The one of this process; there is none where a command's function is called otherwise."""


def obey() -> None:
    """Raises Stopped if this process was told to stop."""
    if witness is not None:
        witness.obey()


def leave_the_end_to_others() -> None:
    """For a command that waits for the end of a child, however long that takes."""
    if witness is not None:
        witness.be_patient()
