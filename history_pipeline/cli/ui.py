"""`ui`: Dagster's web server and daemon, on the pipeline's own DAGSTER_HOME.

Where nothing is configured, or the data are the demo's, the demo's server runs beside it, so that
days can be rerun.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from history_pipeline.cli import demo, stopping
from history_pipeline.defs import dbt_project, home
from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout


def run_ui(port: int) -> int:
    """Runs `dagster dev` until it is stopped; returns its exit status."""
    layout = dbt_project.environment_layout()
    files.keep_private()
    files.make_directory(layout.root)
    os.environ["HISTORY_DATA_DIR"] = str(layout.root)
    with contextlib.ExitStack() as stack:
        if _is_demo(layout):
            os.environ.update(demo.ENVIRONMENT)
            stack.enter_context(demo.simulated_server())
        home.prepare(layout)
        with home.instance(layout) as instance:
            home.bury_the_dead(instance)
        dbt_project.manifest(layout)
        return _dagster_dev(port)


def _dagster_dev(port: int) -> int:
    dagster = str(Path(sys.executable).parent / "dagster")
    arguments = ["dev", "-m", "history_pipeline.definitions", "-h", "127.0.0.1", "-p", str(port)]
    # Dagster stops on SIGTERM as it does on SIGINT: not at all, where it inherits that one ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stopping.leave_the_end_to_others()
    with subprocess.Popen([dagster, *arguments]) as process:
        # Ctrl-C reaches the child by itself; a SIGTERM has to be handed on
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


def _is_demo(layout: Layout) -> bool:
    known = files.read_json(layout.identity)
    if known is not None:
        return bool(known.get("server") == demo.ENVIRONMENT["GWS_URL"])
    return "GWS_URL" not in os.environ and not Path(".env").exists()
