"""A step waits for its turn: whoever holds a lock is let finish, for as long as patience lasts.

It waits in the lock's queue, so that a backfill of many windows lets it in between two of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from history_pipeline.errors import LockTimeout
from history_pipeline.storage import locks

_MINUTE = 60.0


def wait(patience: int) -> float:
    """Seconds in the queue for one try of a step."""
    return _MINUTE if patience else locks.DEADLINE


@contextmanager
def awaited(patience: int) -> Iterator[None]:
    """Where the block ends in LockTimeout, the step starts again at once, `patience` times at most:
    the UI shows each minute of waiting as a retry, with the holder's name, and the place in the
    queue is lost for a moment only. 0 raises LockTimeout."""
    try:
        yield
    except LockTimeout as exc:
        if not patience:
            raise
        raise dg.RetryRequested(max_retries=patience, seconds_to_wait=0) from exc
