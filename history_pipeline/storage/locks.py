"""One at a time, by `flock`: a lock dies with its process, however that ends.

Whoever waits stands in a queue, itself a lock: who gives a lock up and wants it again comes after
who waits already. A file says who holds it, so that whoever waits in vain can name the other; the
name of a dead process is no answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from history_pipeline.errors import ConfigurationError, LockTimeout
from history_pipeline.storage import obstacles
from history_pipeline.storage.processes import Process, this_process

log = logging.getLogger(__name__)

DEADLINE = 10.0
"""Seconds that a command waits while another one asks the server."""

_BETWEEN_TRIES = 0.1
_UNTIL_NAMED = 1.0
"""Seconds more for one that has just got the lock and not said its name yet."""

UNTIL_SAID = 5.0
"""Seconds of waiting after which a log line says for whom."""

PATIENCE = 600.0
"""Seconds to wait for another writer: models over millions of rows take a few minutes."""

_PATIENCE_SET_BY = "HISTORY_LOCK_SECONDS"


def patience() -> float:
    """Seconds to wait for whoever else holds the warehouse. Raises ConfigurationError where the
    operator has set what is no number of seconds."""
    given = os.environ.get(_PATIENCE_SET_BY) or str(PATIENCE)
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{_PATIENCE_SET_BY} {given!r} is no number of seconds")
    return seconds


@contextlib.contextmanager
def exclusive(path: Path, purpose: str, deadline: float) -> Iterator[None]:
    """Holds the lock for the block. Waits `deadline` seconds at most, then LockTimeout."""
    with _Place(path, purpose) as place:
        for _ in place.tries(deadline):
            time.sleep(_BETWEEN_TRIES)
        yield


@contextlib.asynccontextmanager
async def turn(path: Path, purpose: str, deadline: float) -> AsyncIterator[None]:
    """The same for a coroutine, which can be cancelled while it waits."""
    with _Place(path, purpose) as place:
        for _ in place.tries(deadline):
            await asyncio.sleep(_BETWEEN_TRIES)
        yield


def holder(path: Path) -> str | None:
    """Who holds the lock at this moment; None where nobody does. It makes no file."""
    if not path.exists():
        return None
    with contextlib.suppress(Timeout), _lock(path).acquire(timeout=0):
        return None
    return _named(path) or _unnamed(path)


class _Place:
    """A place in the queue, and then the lock; leaving the block gives up what it has."""

    def __init__(self, path: Path, purpose: str) -> None:
        self._path = path
        self._purpose = purpose
        self._lock = _lock(path)
        self._queue = _lock(path.with_suffix(".queue"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                _who(self._path).unlink(missing_ok=True)
            self._lock.release()
        if self._queue.is_locked:
            self._queue.release()

    def tries(self, deadline: float) -> Iterator[None]:
        """Ends with the lock held; until then it yields, for a pause before the next try."""
        began = time.monotonic()
        is_said = False
        while not self._is_held():
            waited = time.monotonic() - began
            if waited >= UNTIL_SAID and not is_said:
                who = _named(self._path) or _unnamed(self._path)
                log.warning("%s is held by %s; waiting %g s for it", self._path.name, who, deadline)
                is_said = True
            if waited >= deadline:
                named = _named(self._path)
                if named or waited >= deadline + _UNTIL_NAMED:
                    raise LockTimeout(
                        f"{self._path.name} is held by {named or _unnamed(self._path)}; "
                        f"waited {deadline:g} s"
                    )
            yield

    def _is_held(self) -> bool:
        """One step further, where there is one to be had."""
        try:
            if not self._queue.is_locked:
                self._queue.acquire(timeout=0)
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
            raise obstacles.error(f"lock {self._path}", exc.errno, reason) from exc
        self._say_who()
        self._queue.release()
        return True

    def _say_who(self) -> None:
        """Whole or not at all; a full disk costs the name and not the lock."""
        fresh = self._path.with_suffix(".holder-new")
        told = {**asdict(this_process()), "purpose": self._purpose}
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps(told), encoding="utf-8")
            fresh.replace(_who(self._path))


def _lock(path: Path) -> FileLock:
    return FileLock(path, mode=0o600)


def _who(path: Path) -> Path:
    return path.with_suffix(".holder")


def _named(path: Path) -> str | None:
    """The holder's name, unless it is that of one who died with the lock: its file stays until
    somebody else has got the lock and says its own."""
    try:
        told = json.loads(_who(path).read_text(encoding="utf-8"))
        process = Process(told["pid"], told["started"], told["host"])
        purpose = told["purpose"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if process.is_dead else f"process {process.pid} ({purpose})"


def _unnamed(path: Path) -> str:
    """Where the holder could not say its name, or is none of ours, the processes are named that
    have the file open: those that wait are among them."""
    having = list(_having_open(path.resolve()))
    return f"process {' or '.join(having)}" if having else "another process"


def _having_open(path: Path) -> Iterator[str]:
    """Ids of other processes, of those that may be looked at."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            with contextlib.suppress(OSError):
                if any(each.readlink() == path for each in (process / "fd").iterdir()):
                    yield process.name
