"""dbt begun before it is wanted: it imports for seconds, which another core can do meanwhile.

dagster-dbt starts the process itself, so what it starts it with is exchanged while it does. Knows
nothing of Dagster: whoever begins dbt has yet to import that.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from history_pipeline.defs import dbt_child, dbt_project
from history_pipeline.storage.layout import Layout

HELD_SECONDS = 60.0
"""How long dbt waits to be wanted. One that waited for hours would hold 114 MB to save seconds."""

log = logging.getLogger(__name__)

_lock = threading.Lock()
_waiting: list[subprocess.Popen[bytes]] = []
"""Those that nobody has wanted yet."""


@contextlib.contextmanager
def begun(
    layout: Layout, seconds: float = HELD_SECONDS
) -> Iterator[subprocess.Popen[bytes] | None]:
    """Has dbt import what it needs meanwhile, and wait until the block wants it. It is gone with
    the block, with this process, or when it has waited for too long. None where it cannot be
    started: it would have saved some seconds, no more."""
    process = _started(layout)
    if process is None:
        yield None
        return
    with _lock:
        _waiting.append(process)
    timer = threading.Timer(seconds, _end, [process])
    timer.daemon = True
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        _end(process)
        # one that was wanted has ended, unless a signal came just when it was handed over
        _kill(process)


def _started(layout: Layout) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            [*dbt_project.command(), dbt_child.WAIT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # what a process cannot be told later, dagster-dbt tells it at its start
            env={**os.environ, **dbt_project.environment(layout), "PYTHONUNBUFFERED": "1"},
        )
    except OSError as exc:
        log.warning("dbt cannot be begun ahead: %s", exc.strerror)
        return None


@contextlib.contextmanager
def used_by(module: ModuleType) -> Iterator[None]:
    """What this module starts by `subprocess.Popen` in the block is the one that waits, if there is
    one that still lives."""
    theirs = vars(module)["subprocess"]
    vars(module)["subprocess"] = _Subprocess
    try:
        yield
    finally:
        vars(module)["subprocess"] = theirs


class _Subprocess:
    """As much of the library's module as starting takes."""

    PIPE = subprocess.PIPE
    STDOUT = subprocess.STDOUT

    @staticmethod
    def Popen(args: Sequence[str], **told: Any) -> subprocess.Popen[bytes]:
        process = _taken()
        if process is None:
            return subprocess.Popen(args, **told)
        arguments = list(args)[len(dbt_project.command()) :]
        if not _tell(process, arguments, told["env"], str(told["cwd"])):
            _kill(process)
            return subprocess.Popen(args, **told)
        process.args = args
        return process


def _tell(
    process: subprocess.Popen[bytes], arguments: list[str], env: Mapping[str, str], cwd: str
) -> bool:
    """Whether it is there to hear it."""
    order = {"arguments": arguments, "environment": dict(env), "directory": cwd}
    if process.stdin is None or process.poll() is not None:
        return False
    try:
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        process.stdin = None
    except OSError:
        return False
    return True


def _taken() -> subprocess.Popen[bytes] | None:
    """One that waits, for the caller alone."""
    with _lock:
        return _waiting.pop() if _waiting else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Unless it was wanted."""
    with _lock:
        if process not in _waiting:
            return
        _waiting.remove(process)
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
