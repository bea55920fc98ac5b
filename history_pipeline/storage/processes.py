"""Which process it is, and whether it still lives: ids alone are used again."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_GONE = "gone"


@dataclass(frozen=True, slots=True)
class Process:
    """`started` is in the kernel's ticks, as text; `host` is where its id means something."""

    pid: int
    started: str
    host: str

    @property
    def is_dead(self) -> bool:
        """Whether it has ended for sure; of another host's nobody here can tell."""
        return self.host == socket.gethostname() and _started(self.pid) != self.started


def this_process() -> Process:
    pid = os.getpid()
    return Process(pid, _started(pid), socket.gethostname())


def _started(pid: int) -> str:
    try:
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        # one that has ended and that its parent has not looked at yet holds nothing any more
        return _GONE if facts[0] in "ZX" else facts[19]
    except (OSError, IndexError):
        return _GONE
