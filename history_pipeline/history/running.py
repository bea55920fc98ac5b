"""A coroutine run to its end, or stopped in order: on SIGINT and SIGTERM it is cancelled, so that
parts are finished and the channel is closed before the process goes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The run was told to stop, and did. `signal_number` says by what."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


def run(work: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run. Raises Stopped after an orderly end that a signal asked for."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    stop = _Stop()
    # not the loop's own handlers: those would take the wakeup descriptor from whoever has set it
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        done = asyncio.run(stop.cancellable(work))
    except asyncio.CancelledError:
        if stop.number is None:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.number is not None:
        # it may have come too late to cancel anything; it was meant all the same
        raise Stopped(stop.number)
    return done


class _Stop:
    """A signal handler that cancels the work, once: a second signal must not cut the end short."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Future[Any] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            return
        self.number = number
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def cancellable(self, work: Coroutine[Any, Any, T]) -> T:
        self._loop = asyncio.get_running_loop()
        self._task = task = asyncio.ensure_future(work)
        if self.number is not None:
            task.cancel()
        return await task
