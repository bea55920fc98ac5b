"""`python -m history_pipeline_tests.readers`: fifty analysts, and the figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from history_pipeline.storage.layout import Layout
from history_pipeline_tests.readers.scene import read_while_publishing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--loads", type=int, default=30)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        seen = read_while_publishing(Layout(Path(home)), readers=told.readers, loads=told.loads)
    print(
        f"{seen.readers} readers during {told.loads} loads: {seen.reads} reads, "
        f"{len(seen.errors)} "
        f"errors, {seen.torn} torn; one saw up to {seen.states} states"
    )
    return 1 if seen.errors or seen.torn or not seen.is_in_order else 0


if __name__ == "__main__":
    sys.exit(main())
