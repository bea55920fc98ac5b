"""A step waits for its turn: whoever holds a lock is let finish, for as long as patience lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from history_pipeline.errors import LockTimeout

SECONDS_BETWEEN = 60


@contextmanager
def awaited(patience: int) -> Iterator[None]:
    """Where the block ends in LockTimeout, the step starts again a minute later, `patience` times
    at most; the UI shows it as up for retry, with the holder's name. 0 raises LockTimeout."""
    try:
        yield
    except LockTimeout as exc:
        if not patience:
            raise
        raise dg.RetryRequested(max_retries=patience, seconds_to_wait=SECONDS_BETWEEN) from exc
