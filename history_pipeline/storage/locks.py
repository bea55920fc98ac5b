"""One writer at a time, by `flock`: a lock dies with its process, however that ends.

The file says who holds it, so that whoever waits in vain can name the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from history_pipeline.errors import ConfigurationError, LockTimeout
from history_pipeline.storage import obstacles

PATIENCE = 120.0
"""Seconds to wait for another writer: a load of millions of rows takes a few."""

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
    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=deadline, poll_interval=0.1)
    except Timeout:
        raise LockTimeout(
            f"{path.name} is held by {_holder(path)}; waited {deadline:g} s"
        ) from None
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise obstacles.error(f"lock {path}", exc.errno, reason) from exc
    try:
        with contextlib.suppress(OSError):
            _who(path).write_text(f"process {os.getpid()} ({purpose})", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):  # on a disk that has turned read-only meanwhile
            _who(path).unlink(missing_ok=True)
        lock.release()


def _who(path: Path) -> Path:
    return path.with_suffix(".holder")


def _holder(path: Path) -> str:
    """What the holder has said of itself. Where it could not, or is none of ours, the processes
    are named that have the file open."""
    try:
        said = _who(path).read_text(encoding="utf-8")
    except OSError:
        said = ""
    having = list(_having_open(path.resolve()))
    if said and (not having or said.split()[1] in having):
        return said
    return f"process {' or '.join(having)}" if having else "another process"


def _having_open(path: Path) -> Iterator[str]:
    """Ids of other processes, of those that may be looked at."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            with contextlib.suppress(OSError):
                if any(each.readlink() == path for each in (process / "fd").iterdir()):
                    yield process.name
