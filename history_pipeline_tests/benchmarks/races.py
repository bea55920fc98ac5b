"""Contenders in turn over the same world, round after round; of each the median counts."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from history_pipeline_tests.benchmarks import cores
from history_pipeline_tests.benchmarks.measuring import Taken, run_apart
from history_pipeline_tests.benchmarks.scene import (
    FAST,
    HEAVY,
    SLOW,
    USUAL,
    Scene,
    server,
)

STEPS = ("bare", "step", "undurable", "dlt", "dlt arrow")
"""One step of asking. What dlt's runs hold beyond it, the load into DuckDB, is a part of them."""

WHOLES = ("whole", "dlt", "dlt arrow")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the races are; a smallest size shows that all of it works."""

    requests: int
    many_requests: int
    rounds: int
    rounds_of_many: int
    loaded_rows: int
    flattened: int


FULL = Size(10_000, 100_000, 5, 3, 5_000_000, 200_000)
SMALLEST = Size(200, 400, 1, 1, 20_000, 2_000)

Say = Callable[[str], None]
Run = Callable[[Say], dict[str, Any]]
"""Measures, and tells meanwhile how far it is."""


def steps(size: Size) -> dict[str, Run]:
    """10,000 requests: what asking costs, at each latency and bound. By what it is that is raced."""
    scenes = [
        Scene(latency, in_flight, size.requests)
        for in_flight in (64, 128, 8)
        for latency in (USUAL, FAST, HEAVY)
    ]
    slow = Scene(SLOW, 8, size.requests)
    return {
        scenes[0].title: partial(_race, scenes[0], (*STEPS, *_AND_WHOLE), size.rounds),
        slow.title: partial(_race, slow, _BOUND_BY_LATENCY, size.rounds_of_many),
        **{scene.title: partial(_race, scene, STEPS, size.rounds) for scene in scenes[1:]},
    }


_AND_WHOLE = ("whole",)
"""Where it runs with few requests as well, its memory can be compared with that of many."""

_BOUND_BY_LATENCY = ("bare", "step")
"""Each takes over four minutes: only those that the figure is of, and fewer rounds."""


def wholes(size: Size) -> dict[str, Run]:
    """100,000 requests, from the list of contacts to the file that can be queried."""
    scenes = [Scene(latency, 64, size.many_requests) for latency in (USUAL, FAST)]
    return {
        scene.title: partial(_race, scene, ("bare", *WHOLES), size.rounds_of_many)
        for scene in scenes
    }


def _race(scene: Scene, contenders: tuple[str, ...], rounds: int, say: Say) -> dict[str, Any]:
    """Raises RuntimeError where a product differs, or more was in flight than allowed."""
    found: dict[str, list[Taken]] = {name: [] for name in contenders}
    slowdowns = []
    with server(scene) as asked:
        _run("bare", asked.url, scene)  # the first to ask has the server make its world
        accepted, cpu_seconds = asked.accepted, asked.cpu_seconds
        for number in range(rounds):
            # a neighbour can take the second core away, from one minute to the next
            slowdowns.append(cores.slowdown())
            for name in contenders:
                taken = _run(name, asked.url, scene)
                found[name].append(taken)
                rate = scene.requests / taken.seconds
                say(f"{scene.title}, round {number + 1}: {name} {rate:,.0f} requests/s")
        flight = asked.most_in_flight
        ceiling = (asked.accepted - accepted) / (asked.cpu_seconds - cpu_seconds)
    products = {str(taken.told["product"]) for runs in found.values() for taken in runs} - {"None"}
    if len(products) > 1:
        raise RuntimeError(f"{scene.title}: the products differ: {products}")
    if flight > scene.in_flight:
        raise RuntimeError(f"{scene.title}: {flight} were in flight")
    return {
        "latency": scene.latency.name,
        "in_flight": scene.in_flight,
        "most_in_flight": flight,
        "requests": scene.requests,
        "rounds": rounds,
        "interactions": _interactions(found),
        "server_per_second": ceiling,
        "slowdowns": slowdowns,
        "contenders": {name: _median(runs) for name, runs in found.items()},
    }


def _run(name: str, url: str, scene: Scene) -> Taken:
    with tempfile.TemporaryDirectory(prefix="race-") as root:
        return run_apart("contender", name, url, str(Path(root)), str(scene.in_flight))


def _interactions(found: dict[str, list[Taken]]) -> int:
    products = (taken.told["product"] for runs in found.values() for taken in runs)
    return next(int(product["interactions"]) for product in products if product)


def _median(runs: list[Taken]) -> dict[str, float]:
    return {
        name: statistics.median(getattr(taken, name) for taken in runs)
        for name in ("seconds", "cpu_seconds", "peak_mb", "written_mb", "first_row_seconds")
    }
