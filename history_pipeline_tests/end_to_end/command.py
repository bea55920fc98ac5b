"""`history-pipeline` as a process in a session of its own, that a test watches and interrupts."""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PYTHON = (sys.executable, "-W", "ignore", "-c", "from history_pipeline.cli import run; run()")
PATIENCE = 120.0
CTRL_C = b"\x03"


@dataclass(frozen=True, slots=True)
class Running:
    process: subprocess.Popen[bytes]
    output: Path

    def until(self, moment: Callable[[], bool]) -> None:
        """Returns at a moment that has come while the command is still at work."""
        deadline = time.monotonic() + PATIENCE
        while not moment():
            assert self.process.poll() is None, f"ended before its time\n{self.screen()}"
            assert time.monotonic() < deadline, f"nothing came\n{self.screen()}"
            time.sleep(0.005)

    def status(self, within: float = PATIENCE) -> int:
        return self.process.wait(within)

    def screen(self) -> str:
        return self.output.read_text(errors="replace")

    def kill_all(self) -> None:
        """SIGKILL to all of its session at once, children included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def left_behind(self) -> list[str]:
        """Processes of its session that still live a moment after its end."""
        deadline = time.monotonic() + 2.0
        while (left := list(_alive_in(self.process.pid))) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left


@contextlib.contextmanager
def started(
    arguments: tuple[str, ...], environment: dict[str, str], cwd: Path
) -> Iterator[Running]:
    """Both of its outputs go into a file. No process of it outlives the block."""
    output = cwd / "screen"
    with (
        output.open("wb") as screen,
        subprocess.Popen(
            [*PYTHON, *arguments],
            cwd=cwd,
            env=environment,
            stdout=screen,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        running = Running(process, output)
        try:
            yield running
        finally:
            running.kill_all()


@contextlib.contextmanager
def on_a_terminal(
    arguments: tuple[str, ...], environment: dict[str, str], cwd: Path
) -> Iterator[tuple[Running, Callable[[bytes], object]]]:
    """The command, and a function that presses keys."""
    output = cwd / "screen"
    keyboard, terminal = pty.openpty()
    name = os.ttyname(terminal)
    # the first terminal that the leader of a session opens is the one whose Ctrl-C reaches it
    line = f"exec {shlex.join([*PYTHON, *arguments])} < {name} > {name} 2>&1"
    with (
        output.open("wb", buffering=0) as screen,
        subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=cwd,
            env={**environment, "TERM": "xterm"},
            start_new_session=True,
        ) as process,
    ):
        reader = threading.Thread(target=_copy, args=(keyboard, screen.write), daemon=True)
        reader.start()
        running = Running(process, output)
        try:
            yield running, lambda keys: os.write(keyboard, keys)
        finally:
            running.kill_all()
            process.wait()
            os.close(terminal)
            reader.join(5)
            os.close(keyboard)


def _copy(source: int, write: Callable[[bytes], object]) -> None:
    with contextlib.suppress(OSError):  # a terminal that nobody holds open any more
        while shown := os.read(source, 4096):
            write(shown)


def _alive_in(session: int) -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                facts = (entry / "stat").read_text().rpartition(")")[2].split()
                state, of = facts[0], int(facts[3])
                if of == session and state not in "ZX":
                    yield (entry / "cmdline").read_text().replace("\0", " ")
