"""The lines of `check`: one a step, with a mark for how it went and what to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from history_pipeline.errors import PipelineError


class Say:
    """What a step has to tell."""

    text = "ok"
    mark = "✓"

    def __call__(self, text: str) -> None:
        self.text = text

    def goes_wrong(self, text: str) -> None:
        """It is known to be of no use, and the steps after it can be of some."""
        self.text, self.mark = text, "✗"


@contextmanager
def step(console: Console, name: str) -> Iterator[Say]:
    say = Say()
    with quiet_step(console, name):
        yield say
    console.print(f"{say.mark} {name}: {say.text}", markup=False)


@contextmanager
def quiet_step(console: Console, name: str) -> Iterator[None]:
    """Says something only where it fails."""
    try:
        yield
    except PipelineError as exc:
        console.print(f"✗ {name}: {exc}", markup=False)
        raise
