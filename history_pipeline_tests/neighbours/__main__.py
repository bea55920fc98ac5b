"""How a backfill gets on with agents on the same server: `python -m history_pipeline_tests.neighbours`.

For each shape of server and each seed, the adaptive limit beside the best fixed one.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor

from history_pipeline.gws.limiting import Limiter
from history_pipeline_tests.neighbours.playing import Compared, Shape, compare
from history_pipeline_tests.neighbours.shapes import SHAPES


def one(shape: Shape, seed: int, seconds: float) -> Compared:
    fewest = shape.changed[0] if shape.changed else shape.workers
    candidates = range(max(1, fewest // 2), shape.workers * 3 // 2 + 1)
    return compare(shape, Limiter(4 * shape.workers), seconds, seed, candidates)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=7200.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=11, help="the limiter was tuned on 1 to 3")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--shape", help="only those whose name holds this")
    told = parser.parse_args()
    with ProcessPoolExecutor(told.workers) as pool:
        for shape in SHAPES:
            if told.shape and told.shape not in shape.name:
                continue
            seeds = range(told.first, told.first + told.seeds)
            found = list(pool.map(one, [shape] * len(seeds), seeds, [told.seconds] * len(seeds)))
            print(
                f"{shape.name}: best fixed {sorted({each.best for each in found})}, agents' p99 "
                f"{min(e.growth for e in found):+.1%} to {max(e.growth for e in found):+.1%}, "
                f"{min(e.share for e in found):.0%} to {max(e.share for e in found):.0%} of the "
                "best fixed",
                flush=True,
            )


if __name__ == "__main__":
    main()
