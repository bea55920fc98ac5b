"""An asyncio event loop on virtual time: nobody waits, and hours pass in microseconds.

When nothing is ready, time jumps to the next timer. Work in threads takes no virtual time: while
any is under way, the clock stands still. A loop that would wait for ever raises instead of hanging.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_WITH_THREADS = 10.0
"""Real seconds that a thread may take."""


_RESOLUTION = 1e-6
"""Seconds; greater than that of any real clock."""


class NothingWillHappen(AssertionError):
    """Everybody waits, and no timer, thread or socket will wake anybody."""


class _JumpingSelector(selectors.BaseSelector):
    """Asks the real selector what is ready; where nothing is, moves the clock."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if self.threads:
            ready = self._real.select(_PATIENCE_WITH_THREADS)
            if not ready:
                raise NothingWillHappen("a thread does not come back")
            return ready
        if timeout is None:
            raise NothingWillHappen(f"everybody waits for ever, since {self.now:.3f} s")
        self.now += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Starts at 0 s. For `asyncio.Runner(loop_factory=VirtualTimeLoop)`."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        """A loop fires what is due within its clock's resolution; on a clock that does not go on
        by itself, whoever sleeps for less than that would sleep again for ever."""
        shortest = _RESOLUTION if delay > 0 else 0.0
        return super().call_later(max(delay, shortest), callback, *args, context=context)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        future.add_done_callback(self._thread_is_back)
        return future

    def _thread_is_back(self, _: object) -> None:
        self._jumping.threads -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        # its thread reports back, but not through `run_in_executor`
        self._jumping.threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.threads -= 1


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)


class DeterministicLoop(VirtualTimeLoop):
    """Work for threads is done at once, in the loop: with the same seed, the same history."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:  # noqa: BLE001 - as a thread would hand it on
            future.set_exception(exc)
        return future

    def leap(self, seconds: float) -> None:
        """As when the process stood still for so long: timers are late, and fire together."""
        self._jumping.now += seconds
