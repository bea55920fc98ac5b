"""`python -m history_pipeline_tests.chaos`: so many histories, and the figures. With `--seed`, one
history by its number, told in full and shrunk to its cause."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from history_pipeline.model import RequestState
from history_pipeline_tests.chaos import judging, lake
from history_pipeline_tests.chaos.histories import History, drawn, smaller
from history_pipeline_tests.chaos.lake import drawn_for_the_lake
from history_pipeline_tests.chaos.playing import play

_SMALLEST_AFTER = 400
"""Histories played at most to shrink one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one history showed; `empty` answers were checked against the world."""

    seed: int
    complaints: tuple[str, ...]
    requests: int
    answered: int
    empty: int
    faults: int
    virtual_seconds: float


def result(history: History) -> Result:
    """Of client and collector, in memory."""
    played = play(history)
    outcomes = played.collected.outcomes
    return Result(
        history.seed,
        tuple(judging.complaints(played)),
        len(outcomes),
        len(played.collected.answers),
        judging.verified_empty(played),
        sum(played.happened.values()),
        played.seconds,
    )


def of_number(seed: int) -> Result:
    return result(drawn(seed))


def in_the_lake(history: History) -> Result:
    """Through attempts, parts, day files and DuckDB."""
    found = lake.judged(history)
    outcomes = found.played.collected.outcomes
    answered = [each for each in outcomes if each.state is RequestState.ANSWERED]
    return Result(
        history.seed,
        found.complaints,
        len(outcomes),
        len(answered),
        found.empty,
        sum(found.played.happened.values()),
        found.played.seconds,
    )


def in_the_lake_of_number(seed: int) -> Result:
    return in_the_lake(drawn_for_the_lake(seed))


def shrunk(history: History, is_wrong: Callable[[History], bool]) -> History:
    """The smallest that is still wrong, one thing less at a time."""
    tries = _SMALLEST_AFTER
    found = True
    while found:
        found = False
        for candidate in smaller(history):
            tries -= 1
            if tries <= 0:
                return history
            if is_wrong(candidate):
                history, found = candidate, True
                break
    return history


def _kind(found: Result) -> str:
    """The first complaint, less whom and how many it concerns."""
    told = found.complaints[0] if found.complaints else ""
    return re.sub(r"HistoryRequest\(.*\)\)?|[\d.]+|'.*?'", "", told)


def _tell(history: History, judge: Callable[[History], Result]) -> int:
    found = judge(history)
    print(f"history {history.seed}\n{history}")
    print(*found.complaints[:20], sep="\n")
    if not found.complaints:
        print("as it must be")
        return 0
    kind = _kind(found)
    least = shrunk(history, lambda candidate: _kind(judge(candidate)) == kind)
    print(f"\nas well with no more than\n{least}")
    print(*judge(least).complaints[:20], sep="\n")
    return 1


def _sum_up(results: Iterable[Result], what: str) -> int:
    started, told = time.monotonic(), []
    for each in results:
        told.append(each)
        if each.complaints:
            print(f"history {each.seed}: {each.complaints[0]}", flush=True)
        if len(told) % 1_000 == 0:
            print(f"{len(told):,} histories", file=sys.stderr, flush=True)
    wrong = sum(bool(each.complaints) for each in told)
    seconds = time.monotonic() - started
    print(f"{len(told):,} histories {what}, {wrong} ended wrong; {seconds:.0f} s")
    print(
        f"{sum(each.requests for each in told):,} requests, "
        f"{sum(each.answered for each in told):,} of them answered, "
        f"{sum(each.empty for each in told):,} of those empty, as in the world; "
        f"{sum(each.faults for each in told):,} faults, "
        f"{sum(each.virtual_seconds for each in told) / 3600:,.0f} hours of virtual time"
    )
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the first history's number")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lake", action="store_true", help="through lake and DuckDB as well")
    parser.add_argument("--seed", type=int, help="only this history")
    told = parser.parse_args()
    if told.seed is not None:
        if told.lake:
            return _tell(drawn_for_the_lake(told.seed), in_the_lake)
        return _tell(drawn(told.seed), result)
    seeds = range(told.first, told.first + told.count)
    work = in_the_lake_of_number if told.lake else of_number
    what = "through lake and DuckDB" if told.lake else "of client and collector"
    with ProcessPoolExecutor(told.workers) as pool:
        return _sum_up(pool.map(work, seeds, chunksize=4), what)


if __name__ == "__main__":
    sys.exit(main())
