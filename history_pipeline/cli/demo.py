"""`demo`: the whole pipeline against the embedded server, on days that never change.

The simulator is a process of its own, as a real server is: the demo knows its address and its
credentials, and nothing else of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta

from rich.console import Console
from rich.table import Table

from history_pipeline import settings as settings_module
from history_pipeline.cli.backfill import run_backfill
from history_pipeline.cli.display import own_console
from history_pipeline.errors import ConfigurationError
from history_pipeline.storage import analysts
from history_pipeline.storage.layout import Layout

PORT = int(os.environ.get("HISTORY_DEMO_PORT", "18190"))
CONTACTS = 2_000
FIRST_DAY, DAYS = date(2026, 10, 1), 30
ZONE = "Europe/Berlin"
USERNAME, PASSWORD = "demo", "demo"
START_DEADLINE = 30.0

_WORLD = (
    "--contacts", str(CONTACTS), "--seed", "7", "--zone", ZONE,
    "--start", FIRST_DAY.isoformat(), "--days", str(DAYS),
    "--end", (FIRST_DAY + timedelta(days=DAYS)).isoformat(),
)  # fmt: skip
_BEHAVIOUR = ("--latency", "5,25", "--lost-share", "0.005", "--early-share", "0.1")

ENVIRONMENT = {
    "GWS_URL": f"http://127.0.0.1:{PORT}",
    "GWS_USERNAME": USERNAME,
    "GWS_PASSWORD": PASSWORD,
    "GWS_TIMEZONE": ZONE,
    "GWS_CONCURRENCY": "32",
    "GWS_REQUESTS_PER_SECOND": "0",
    "GWS_NOTIFICATION_TIMEOUT": "2",
    # a `.env` of a real server may name other ways in, and secrets that are none of the demo's
    **dict.fromkeys(
        (
            *(
                "GWS_PASSWORD_FILE",
                "GWS_PROXY",
                "GWS_PROXY_FILE",
                "GWS_HEADERS",
                "GWS_HEADERS_FILE",
            ),
            *("GWS_CA_BUNDLE", "GWS_CLIENT_CERT", "GWS_CLIENT_KEY", "GWS_CLIENT_KEY_PASSWORD_FILE"),
        ),
        "",
    ),
    "HISTORY_CONTACTS": "gws",
    "HISTORY_MEDIA_TYPE": "",
    "HISTORY_START_DATE": "2026-01-01",
    "HISTORY_CUSTOM_ATTRIBUTES": '["OrderNo", "orderno", "CustomerId", "in \\"quotes\\""]',
}


def run_demo() -> int:
    """Returns the exit status of the backfill that the demo is."""
    console = own_console()
    os.environ.update(ENVIRONMENT)
    with simulated_server():
        console.print(
            f"a simulated Genesys Web Services runs at {ENVIRONMENT['GWS_URL']}: {CONTACTS} "
            f"contacts, {DAYS} days, some notifications lost, some early"
        )
        status = run_backfill(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1), console)
    layout = Layout(settings_module.load().data_dir)
    show_queries(layout, console)
    console.print("what to do next:")
    console.print(f"  query it        duckdb -readonly {layout.published}")
    console.print("  see it          make ui   (rerun a day from Dagster's UI)")
    console.print("  a real server   README.md, «Pointing it at a real server»")
    return status


@contextlib.contextmanager
def simulated_server() -> Iterator[None]:
    """The simulator, for as long as the block runs; it ends with this process at the latest."""
    arguments = [
        sys.executable, "-m", "history_pipeline.simulator", "--port", str(PORT),
        "--username", USERNAME, "--password", PASSWORD, "--exit-with-parent",
        *_WORLD, *_BEHAVIOUR,
    ]  # fmt: skip
    with subprocess.Popen(
        arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - asked for above
            ready = process.stdout.readline()
            if not ready.startswith(b"{") or "url" not in json.loads(ready):
                raise ConfigurationError(
                    f"the simulator did not start; if port {PORT} is taken, set HISTORY_DEMO_PORT "
                    "and give that demo a HISTORY_DATA_DIR of its own"
                )
            yield
        finally:
            process.terminate()


def show_queries(layout: Layout, console: Console) -> None:
    """Three questions that analysts ask, with the answers."""
    for question, query, columns, rows in analysts.answers(layout):
        console.print("")
        console.print(question, style="bold")
        console.print(query, style="dim")
        table = Table(*columns)
        for row in rows:
            table.add_row(*(str(value) for value in row))
        console.print(table)
