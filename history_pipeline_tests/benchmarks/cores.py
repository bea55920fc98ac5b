"""How much of a core is left to one process while another is at work: what runs beside the server,
or in two processes, is slower by that. `python -m ….cores` is one such process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

TURNS = 5
_LOOPS = 3_000_000


def cores(turns: int = TURNS) -> dict[str, float]:
    """Seconds of the same loop, alone and with a second one beside it; medians of some turns."""
    alone, beside = [], []
    for _ in range(turns):
        alone += _together(1)
        beside += _together(2)
    return {"alone": statistics.median(alone), "beside": statistics.median(beside)}


def slowdown() -> float:
    """How many times as long a loop takes beside a second one as alone, just now."""
    told = cores(turns=1)
    return told["beside"] / told["alone"]


def _together(count: int) -> list[float]:
    command = [sys.executable, "-m", f"{__package__}.cores"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return [float(each.communicate()[0]) for each in running]


def main() -> None:
    began = time.perf_counter()
    total = 0
    for number in range(_LOOPS):
        total += number
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
