"""What the benchmark is made of: sections, and what is measured in each, by its title. Each gives
plain values, which are kept as JSON."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict
from functools import partial
from typing import Any

from history_pipeline_tests.benchmarks import activity, cores, daily, disturbed, modelling, races
from history_pipeline_tests.benchmarks.loading import STEPS
from history_pipeline_tests.benchmarks.measuring import Taken, run_apart
from history_pipeline_tests.benchmarks.races import Run, Say, Size

LOADS = 3


def cores_(size: Size, say: Say) -> dict[str, Any]:
    """Whether the cores are two."""
    told = cores.cores()
    say(f"a loop alone {told['alone']:.3f} s, beside another {told['beside']:.3f} s")
    return told


def flattening(size: Size, say: Say) -> dict[str, Any]:
    """On one core, beside plain decoding."""
    told = run_apart("flattening", str(size.flattened)).told
    say(
        f"flattening: {told['flattened_per_second']:,.0f} interactions/s, "
        f"{told['share_of_decoding']:.3f} of decoding"
    )
    return told


def loading(size: Size, say: Say) -> dict[str, Any]:
    """The warehouse at its size; medians of some turns."""
    found: dict[str, list[Taken]] = {}
    for turn in range(LOADS if size is races.FULL else 1):
        with tempfile.TemporaryDirectory(prefix="loading-") as root:
            for step in STEPS:
                taken = run_apart("loading", step, root, str(size.loaded_rows))
                found.setdefault(step, []).append(taken)
                say(f"{size.loaded_rows:,} rows, turn {turn + 1}: {step} {taken.seconds:.2f} s")
    return {"rows": size.loaded_rows} | {
        step: asdict(sorted(runs, key=lambda taken: taken.seconds)[len(runs) // 2])
        | {"peak_mb": statistics.median(taken.peak_mb for taken in runs)}
        for step, runs in found.items()
    }


def sections(size: Size) -> dict[str, dict[str, Run]]:
    """In the order in which they run: what is quick comes first."""
    rows = f"{size.loaded_rows:,} interactions"
    contacts = f"{activity.contacts(size):,} contacts"
    return {
        "cores": {"a loop": partial(cores_, size)},
        "flattening": {"one core": partial(flattening, size)},
        "loading": {rows: partial(loading, size)},
        "models": {rows: partial(modelling.models, size)},
        "daily": {rows: partial(daily.daily, size)},
        "activity": {contacts: partial(activity.activity, size)},
        "steps": races.steps(size),
        "wholes": races.wholes(size),
        "disturbed": disturbed.disturbed(size),
    }
