"""`python -m history_pipeline_tests.benchmarks`: runs the sections, keeps what they found below
`build/benchmarks`, and writes the measured parts of docs/performance.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from history_pipeline_tests.benchmarks import races, report
from history_pipeline_tests.benchmarks.sections import SECTIONS

SIZES = {"full": races.FULL, "smallest": races.SMALLEST}
BUILD = Path("build") / "benchmarks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="may be repeated")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md as it is")
    arguments = parser.parse_args()
    kept = BUILD / arguments.size
    kept.mkdir(parents=True, exist_ok=True)
    for name in arguments.only or SECTIONS:
        found = SECTIONS[name](SIZES[arguments.size], _say)
        (kept / f"{name}.json").write_text(json.dumps(found, indent=2) + "\n")
    found = {path.stem: json.loads(path.read_text()) for path in sorted(kept.glob("*.json"))}
    tables = report.tables(found)
    _say("\n\n".join(tables.values()))
    if not arguments.no_page:
        report.write(Path("docs"), tables, found)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
