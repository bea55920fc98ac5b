"""`python -m history_pipeline_tests.crashes`: so many kills, so many at once, and the figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from history_pipeline_tests.crashes import kills
from history_pipeline_tests.crashes.kills import Kill
from history_pipeline_tests.crashes.scene import COMMAND, MOST_ASKED_AGAIN, STEP, Outcome, scene
from history_pipeline_tests.end_to_end.test_interrupted import Content


@dataclass(slots=True)
class Figures:
    kills: int = 0
    asked_again: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def take(self, kill: Kill, outcome: Outcome, undisturbed: Content) -> None:
        self.kills += outcome.kills
        self.asked_again.append(outcome.asked_again)
        if outcome.content != undisturbed:
            self.failures.append(f"{kill}: other content")
        if outcome.asked_again > MOST_ASKED_AGAIN * outcome.kills:
            self.failures.append(f"{kill}: {outcome.asked_again} requests were asked again")


def _share(work: list[str], count: int, seed: int) -> Figures:
    """`count` kills, one after another, before a server of their own. A run that ends before the
    moment that was drawn for it counts for nothing."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        with scene(home, traced=kills.can_trace(), work=work) as stage:
            for number, kill in enumerate(kills.drawn(3 * count, stage.calls, stage.seconds, seed)):
                if figures.kills >= count:
                    break
                cwd = home / str(number)
                cwd.mkdir()
                figures.take(kill, stage.killed([kill], cwd), stage.undisturbed)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=180)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command", action="store_true", help="`backfill` instead of the step")
    told = parser.parse_args()
    work, started = COMMAND if told.command else STEP, time.monotonic()
    with ThreadPoolExecutor(told.workers) as pool:
        shares = [
            pool.submit(_share, work, len(range(n, told.count, told.workers)), told.seed + n)
            for n in range(told.workers)
        ]
        found = [share.result() for share in shares]
    failures = [failure for figures in found for failure in figures.failures]
    print(*failures, sep="\n")
    again = [number for figures in found for number in figures.asked_again]
    print(
        f"{sum(figures.kills for figures in found)} kills of the "
        f"{'command' if told.command else 'step'}, {len(failures)} ended otherwise than "
        f"undisturbed; asked again: at most {max(again)} (bound {MOST_ASKED_AGAIN}), on average "
        f"{sum(again) / len(again):.1f}; {time.monotonic() - started:.0f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
