"""What the process has freed goes back to the system, so that a long run does not grow.

Knows the allocator of the C library, which Arrow is told to use (`history_pipeline/__init__`).
"""

from __future__ import annotations

import contextlib
import ctypes

import pyarrow as pa

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""


def keep_in_one_place() -> None:
    """Has all threads share one arena. Each else gets one of its own, where the little that it
    keeps holds on to what others have freed: 12 MB in half an hour. Where the C library is not
    glibc, nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """Returns what lies unused at this moment."""
    pa.default_memory_pool().release_unused()
