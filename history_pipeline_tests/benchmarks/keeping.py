"""What was measured, kept from one run to the next: a full turn takes hours, and can be stopped.

Each result says on which machine and on which day it was measured; times of one result were taken
beside each other, those of two may not have been.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Result = dict[str, Any]


class Kept:
    """Results by section and title, in a JSON file that is written anew with each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, dict[str, Result]] = (
            json.loads(path.read_text()) if path.exists() else {}
        )

    def __contains__(self, place: tuple[str, str]) -> bool:
        section, title = place
        return title in self._found.get(section, {})

    def keep(self, section: str, title: str, result: Result) -> None:
        told = {"machine": machine(), "measured_on": datetime.now(UTC).date().isoformat()}
        self._found.setdefault(section, {})[title] = told | result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._found, indent=1, sort_keys=True) + "\n")

    def of(self, section: str, titles: list[str]) -> dict[str, Result]:
        """Those that are there, in this order."""
        found = self._found.get(section, {})
        return {title: found[title] for title in titles if title in found}

    def turns(self) -> Iterator[tuple[str, str]]:
        """The machines and the days."""
        results = (each for section in self._found.values() for each in section.values())
        yield from sorted({(each["machine"], each["measured_on"]) for each in results})


def machine() -> str:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{os.cpu_count()} cores, {model.group(1) if model else 'unknown'}"
