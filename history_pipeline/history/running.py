"""A coroutine run to its end, or stopped in order: on SIGINT and SIGTERM it is cancelled, so that
parts are finished and the channel is closed before the process goes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The run was told to stop, and did. `signal_number` says by what."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


def run(work: Coroutine[Any, Any, T]) -> T:
    """Like asyncio.run. Raises Stopped after an orderly end that a signal asked for."""
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    received: list[int] = []
    try:
        return asyncio.run(_cancellable(work, received))
    except asyncio.CancelledError:
        if not received:
            raise
        raise Stopped(received[0]) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _cancellable(work: Coroutine[Any, Any, T], received: list[int]) -> T:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def stop(number: int) -> Callable[[], None]:
        def stopping() -> None:
            received.append(number)
            task.cancel()

        return stopping

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop(number))
    return await task
