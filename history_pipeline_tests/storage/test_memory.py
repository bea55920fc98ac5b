"""Threads share one arena of the C library's allocator."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

HEAPS = """
import ctypes, sys, threading
from history_pipeline.storage import memory

if sys.argv[2] == "one":
    memory.keep_in_one_place()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
started = threading.Barrier(4)

def allocate():
    started.wait()  # all are alive at once: an arena is handed on by a thread that has ended
    libc.malloc(ctypes.c_size_t(10_000))
    started.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.fopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


def _heaps(setting: str, told: Path) -> int:
    """How many arenas a process with four busy threads has."""
    subprocess.run([sys.executable, "-c", HEAPS, str(told), setting], check=True, timeout=60)
    return told.read_text().count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_threads_share_one_arena(tmp_path: Path) -> None:
    # a library that starts threads when it is imported may have an arena more, told or not
    apart, together = _heaps("many", tmp_path / "many.xml"), _heaps("one", tmp_path / "one.xml")
    assert apart >= 4
    assert together <= 2
