"""What a contender took, of time, processors, memory and disk. Each runs in a process of its own,
so that none inherits what another one has loaded or kept."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

_LOOKS = 0.1

BEGINS = "measured from here"
"""Told by a process that was started, when its imports are behind it."""


@dataclass(slots=True)
class Taken:
    """Seconds, megabytes; `cpu_seconds` are user and system, of all threads and children.
    `peak_mb` is the process's, imports included, and those of its children on top of it, as if all
    were at their peaks at once. `first_row_seconds` is when the first row could be queried: at the
    end, where nobody says otherwise. `told` is what the contender itself has to say."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    written_mb: float = 0.0
    first_row_seconds: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0

    def has_a_row(self) -> None:
        """From now on one can be queried."""
        self.first_row_seconds = self.first_row_seconds or time.perf_counter() - self.began


@contextmanager
def measured() -> Iterator[Taken]:
    """Measures the block."""
    taken = Taken()
    sys.stdout.write(BEGINS + "\n")
    sys.stdout.flush()
    with _watched_children() as children:
        written, cpu, taken.began = _written_bytes(), _cpu_seconds(), time.perf_counter()
        yield taken
        taken.seconds = time.perf_counter() - taken.began
        taken.cpu_seconds = _cpu_seconds() - cpu
        taken.written_mb = (_written_bytes() - written) / 1e6
    taken.first_row_seconds = taken.first_row_seconds or taken.seconds
    taken.peak_mb = _peak_mb("self") + sum(children.values())


def _cpu_seconds() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, who))


def _written_bytes() -> int:
    """Handed to files, by this process; sockets are not counted."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _peak_mb(process: str) -> float:
    """The kernel's, which `resource` would take over from the process that started this one."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


@contextmanager
def _watched_children() -> Iterator[dict[str, float]]:
    """Their peaks, looked at while they live."""
    found: dict[str, float] = {}
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(_LOOKS):
            children = Path("/proc/thread-self").resolve().parent.glob("*/children")
            for child in {each for path in children for each in path.read_text().split()}:
                with contextlib.suppress(OSError, StopIteration):
                    found[child] = _peak_mb(child)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        is_over.set()
        looking.join()


def tell(taken: Taken) -> None:
    """Hands what was measured to whoever started this process."""
    sys.stdout.write("\n" + json.dumps(asdict(taken)) + "\n")


def run_apart(module: str, *arguments: str) -> Taken:
    """What `python -m module` tells at its end. Raises RuntimeError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.{module}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
    return Taken(**json.loads(done.stdout.splitlines()[-1]))
