"""`python -m history_pipeline.simulator`."""

import sys

from history_pipeline.simulator.app import main

if __name__ == "__main__":
    sys.exit(main())
