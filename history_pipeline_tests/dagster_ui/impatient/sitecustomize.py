"""On the PYTHONPATH of Dagster's daemon: it looks for backfills every second, not every 30. How it
splits them and what it launches stays as it is."""

import sys

if "dagster._daemon" in sys.orig_argv:
    import dagster._daemon.controller

    dagster._daemon.controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 1
