"""dbt as a child that does not outlive its parent: `python -m … PID ARGUMENTS`, or `PID WAIT`, and
then what to do comes on the standard input.

An orphan would go on writing to the warehouse, whose lock died with its parent. Knows nothing of
Dagster, whose import costs a second.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from history_pipeline.imports import loading

SECONDS_BETWEEN_LOOKS = 0.2

WAIT = "--wait-for-arguments"


def main() -> None:
    parent = int(sys.argv.pop(1))
    threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    sys.argv[0] = "dbt"
    with loading():
        from dbt.cli.main import cli
    if sys.argv[1:] == [WAIT]:
        _wait()
    cli()


def _wait() -> None:
    """Until it is told arguments, environment and directory. An end without them is the end."""
    with loading():
        import dbt.adapters.duckdb  # noqa: F401 - dbt imports it when it has read its profile
    told = sys.stdin.buffer.read()
    if not told:
        sys.exit(1)
    order = json.loads(told)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    sys.argv[1:] = order["arguments"]


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    main()
