"""When a process is killed: before the so manieth system call of a kind, or at a moment.

What is on disk changes by system calls alone. So a kill before each of them is a kill before and
after every write, rename, commit and publish that there is. strace does it; nothing in the
process knows of it.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

DURABLE = (
    "rename", "fsync", "fdatasync", "pwrite64", "write", "ftruncate", "unlink", "unlinkat", "rmdir",
    "mkdir", "sendfile", "copy_file_range", "chmod",
)  # fmt: skip
"""The calls by which what is on disk changes, or is confirmed."""

PATIENCE = 240.0
STATUS_OF_A_LOST_CHILD = 4
"""dbt is a child of the command, and may be the one that is hit."""


class Kill(Protocol):
    def run(self, command: list[str], environment: dict[str, str], cwd: Path) -> bool:
        """Runs the command until it is killed, or ends; returns whether it was killed."""
        ...


@dataclass(frozen=True, slots=True)
class BeforeCall:
    """Before the `nth` call of this name in one of its threads."""

    name: str
    nth: int

    def run(self, command: list[str], environment: dict[str, str], cwd: Path) -> bool:
        traced = [
            *("strace", "-f", "-o", "/dev/null", "-e", f"trace={self.name}"),
            *("-e", f"inject={self.name}:signal=SIGKILL:when={self.nth}"),
            *command,
        ]
        return _ended(subprocess.Popen(traced, env=environment, cwd=cwd, **_QUIET))


@dataclass(frozen=True, slots=True)
class AtMoment:
    """So many seconds after its start."""

    seconds: float

    def run(self, command: list[str], environment: dict[str, str], cwd: Path) -> bool:
        process = subprocess.Popen(command, env=environment, cwd=cwd, **_QUIET)
        deadline = time.monotonic() + self.seconds
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        return _ended(process)


_QUIET = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}


def _ended(process: subprocess.Popen[bytes]) -> bool:
    said, _ = process.communicate(timeout=PATIENCE)
    if process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return True
    if process.returncode == STATUS_OF_A_LOST_CHILD:
        return True
    assert process.returncode == 0, said.decode(errors="replace")
    return False


def can_trace() -> bool:
    """Whether strace is here and may trace."""
    if shutil.which("strace") is None:
        return False
    probe = ["strace", "-f", "-o", "/dev/null", "-e", "trace=rename", "true"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def calls_of(command: list[str], environment: dict[str, str], cwd: Path) -> Counter[str]:
    """How many calls of each kind an undisturbed run makes, in the thread that makes most."""
    trace = cwd / "trace"
    traced = ["strace", "-f", "-o", str(trace), "-e", f"trace={','.join(DURABLE)}", *command]
    assert not _ended(subprocess.Popen(traced, env=environment, cwd=cwd, **_QUIET))
    by_thread: Counter[tuple[str, str]] = Counter()
    with trace.open(errors="replace") as lines:
        for line in lines:
            if (found := re.match(r"(\d+) +(\w+)\(", line)) is not None:
                by_thread[found[1], found[2]] += 1
    most: Counter[str] = Counter()
    for (_, name), count in by_thread.items():
        most[name] = max(most[name], count)
    return most


def drawn(count: int, calls: Counter[str], seconds: float, seed: int) -> list[Kill]:
    """Half of them at moments, half before calls: kinds in turn, so that the few renames are hit
    as often as the many writes."""
    dice = Random(seed)
    names = [name for name in DURABLE if calls[name]]
    kills: list[Kill] = []
    for number in range(count):
        if names and number % 2:
            name = names[number // 2 % len(names)]
            kills.append(BeforeCall(name, dice.randint(1, calls[name])))
        else:
            kills.append(AtMoment(dice.uniform(0.5, seconds)))
    return kills
