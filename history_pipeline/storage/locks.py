"""One writer at a time, by `flock`: a lock dies with its process, however that ends.

The file says who holds it, so that whoever waits in vain can name the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from history_pipeline.errors import LockTimeout, StorageError


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
        raise StorageError(f"cannot lock {path}: {exc.strerror}") from exc
    try:
        with contextlib.suppress(OSError):
            _who(path).write_text(f"process {os.getpid()} ({purpose})", encoding="utf-8")
        yield
    finally:
        _who(path).unlink(missing_ok=True)
        lock.release()


def _who(path: Path) -> Path:
    return path.with_suffix(".holder")


def _holder(path: Path) -> str:
    try:
        return _who(path).read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"
