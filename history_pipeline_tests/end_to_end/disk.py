"""A disk of a test's own that fills up, or turns read-only, when the test says so."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MEGABYTES = 64


@dataclass(frozen=True, slots=True)
class Disk:
    root: Path

    def leave(self, free: int) -> None:
        """From here on so many bytes are free."""
        self.make_room()
        with self._ballast.open("wb") as file:
            # others may take what was measured as free
            while not self._is_filled(file.fileno(), free):
                pass

    def _is_filled(self, ballast: int, free: int) -> bool:
        facts = os.statvfs(self.root)
        held = os.fstat(ballast).st_size
        size = facts.f_bavail * facts.f_frsize - free
        try:
            if size > 0:
                os.posix_fallocate(ballast, held, size)
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            return False
        return True

    def make_room(self) -> None:
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.root / "ballast"

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """While the block runs, whoever opens a file here cannot write to it. A disk with files
        open for writing is not mounted read-only on request, so such a one is put over it."""
        _do("mount", "--bind", self.root, self.root)
        try:
            _do("mount", "-o", "remount,ro,bind", self.root)
            yield
        finally:
            _do("umount", "-l", self.root)


@contextlib.contextmanager
def mounted(root: Path) -> Iterator[Disk]:
    """A new, empty one. Skips the test where this user may not mount."""
    root.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=700", "none", root],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield Disk(root)
    finally:
        _do("umount", "-l", root)


def _do(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
