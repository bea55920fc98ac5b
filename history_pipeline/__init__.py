"""Proves and loads the interaction history of a Genesys Web Services contact centre."""

import os

__version__ = "0.1.0"

# Arrow's own pools keep 100 MB and more of what was freed, which DuckDB, beside them, cannot use.
# Arrow reads this once, when it is first imported.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
