"""`python -m history_pipeline_tests.benchmarks`: measures section by section, keeps what it found in
docs/performance.json, and writes the measured parts of docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from history_pipeline_tests.benchmarks import races, report
from history_pipeline_tests.benchmarks.keeping import Kept
from history_pipeline_tests.benchmarks.sections import sections

Planned = dict[str, dict[str, races.Run]]

SIZES = {"full": races.FULL, "smallest": races.SMALLEST}
DOCS = Path("docs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--only", action="append", help="a section; may be repeated")
    parser.add_argument("--missing", action="store_true", help="only what was not measured yet")
    parser.add_argument("--no-page", action="store_true", help="leave docs/ as it is")
    told = parser.parse_args()
    planned = sections(SIZES[told.size])
    if unknown := set(told.only or ()) - planned.keys():
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(planned)}")
    with tempfile.TemporaryDirectory() as root:
        kept = Kept((Path(root) if told.no_page else DOCS) / "performance.json")
        for section in told.only or planned:
            for title, run in planned[section].items():
                if told.missing and (section, title) in kept:
                    continue
                kept.keep(section, title, run(_say))
                if not told.no_page:
                    _write(kept, planned)
        _say("\n\n".join(report.tables(kept, _titles(planned)).values()))


def _write(kept: Kept, planned: Planned) -> None:
    titles = _titles(planned)
    report.write(DOCS, report.tables(kept, titles), kept.of("steps", titles["steps"]))


def _titles(planned: Planned) -> dict[str, list[str]]:
    return {section: list(runs) for section, runs in planned.items()}


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
