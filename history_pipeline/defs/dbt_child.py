"""dbt as a child that does not outlive its parent: `python -m … PID ARGUMENTS`.

An orphan would go on writing to the warehouse, whose lock died with its parent. Knows nothing of
Dagster, whose import costs a second.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from history_pipeline.imports import loading

SECONDS_BETWEEN_LOOKS = 0.2


def main() -> None:
    parent = int(sys.argv.pop(1))
    threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    sys.argv[0] = "dbt"
    with loading():
        from dbt.cli.main import cli
    cli()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)


if __name__ == "__main__":
    main()
