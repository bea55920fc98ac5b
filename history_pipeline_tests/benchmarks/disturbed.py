"""Runs that do not go as planned: killed at half-way, asked again over changed answers, and a server
that has half of its processor left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.benchmarks.measuring import BEGINS, Taken, run_apart
from history_pipeline_tests.benchmarks.races import Run, Say, Size
from history_pipeline_tests.benchmarks.scene import USUAL, Scene, Server, server

IN_FLIGHT = 64
CHANGED_SHARE = 0.02
_LOOKS = 0.02
_STOPPED = 0.01
"""Seconds for which the server is stopped, and then goes on, by turns."""


def disturbed(size: Size) -> dict[str, Run]:
    scene = Scene(USUAL, IN_FLIGHT, size.many_requests)
    return {scene.title: partial(_disturbed, scene)}


def _disturbed(scene: Scene, say: Say) -> dict[str, Any]:
    """Seconds of each, beside a clean run of the same round."""
    with server(scene) as asked:
        _step(asked.url)  # the first to ask has the server make its world
        clean = _step(asked.url)
        killed = _killed(asked, scene)
        again = _again(asked.url)
        halved = _halved(asked, scene)
    found = {
        "clean": clean.seconds,
        "killed": killed,
        "again": again,
        "halved": halved.seconds,
        "answered_of_halved": halved.told["answered"],
    }
    products = {
        str(each) for each in (clean.told["product"], killed["product"], halved.told["product"])
    }
    if len(products) > 1:
        raise RuntimeError(f"{scene.title}: the products differ: {products}")
    say(
        f"{scene.title}: clean {clean.seconds:.1f} s, killed and run to its end "
        f"{killed['seconds']:.1f} s, again {again['seconds']:.1f} s, at half the server's capacity "
        f"{halved.seconds:.1f} s"
    )
    return found


def _step(url: str) -> Taken:
    with tempfile.TemporaryDirectory(prefix="disturbed-") as root:
        return run_apart("contender", "step", url, root, str(IN_FLIGHT))


def _killed(asked: Server, scene: Scene) -> dict[str, Any]:
    """What both tries took, the second start left out, and what was asked twice."""
    before = asked.accepted
    with tempfile.TemporaryDirectory(prefix="killed-") as root:
        arguments = ["step", asked.url, root, str(IN_FLIGHT)]
        command = [sys.executable, "-m", f"{__package__}.contender", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while BEGINS not in process.stdout.readline():
                continue
            began = time.perf_counter()
            _until_asked(asked, before + scene.requests // 2)
            process.kill()
            first = time.perf_counter() - began
        second = run_apart("contender", *arguments)
    return {
        "seconds": first + second.seconds,
        "asked_twice": asked.accepted - before - scene.requests,
        "product": second.told["product"],
    }


def _until_asked(asked: Server, count: int) -> None:
    deadline = time.monotonic() + 3600
    while asked.accepted < count:
        if time.monotonic() > deadline:
            raise RuntimeError("the server was not asked so much in an hour")
        time.sleep(_LOOKS)


def _again(url: str) -> dict[str, Any]:
    """The same window again, where a share of what was answered then is another by now."""
    with tempfile.TemporaryDirectory(prefix="again-") as root:
        arguments = ["step", url, root, str(IN_FLIGHT)]
        run_apart("contender", *arguments)
        layout = Layout(Path(root))
        for path in layout.day_files():
            _change(path)
        taken = run_apart("contender", *arguments)
        versions = sum(pq.read_metadata(path).num_rows for path in layout.version_files())
    return {"seconds": taken.seconds, "peak_mb": taken.peak_mb, "versions": versions}


def _change(path: Path) -> None:
    """Some of the rows said something else before."""
    rows = pq.ParquetFile(path).read()
    every = round(1 / CHANGED_SHARE)
    is_other = pa.array([row % every == 0 for row in range(rows.num_rows)])
    place = rows.schema.get_field_index("state")
    other = pc.if_else(is_other, "before", rows["state"])
    files.replace_table(rows.set_column(place, rows.schema.field(place), other), path)


def _halved(asked: Server, scene: Scene) -> Taken:
    with _stopping_half_the_time(asked, asked.accepted + scene.requests // 2):
        return _step(asked.url)


@contextlib.contextmanager
def _stopping_half_the_time(asked: Server, count: int) -> Iterator[None]:
    """From the moment on when it was asked so much."""
    is_over = threading.Event()

    def stop_and_go() -> None:
        _until_asked(asked, count)
        while not is_over.wait(_STOPPED):
            os.kill(asked.pid, signal.SIGSTOP)
            is_over.wait(_STOPPED)
            os.kill(asked.pid, signal.SIGCONT)

    stopping = threading.Thread(target=stop_and_go, daemon=True)
    stopping.start()
    try:
        yield
    finally:
        is_over.set()
        stopping.join()
