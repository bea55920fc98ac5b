"""What definitions need to know while they load: before, and without, a usable configuration.

The same names in the same places as `settings` reads, `.env` included, and no judgement of them.
"""

from __future__ import annotations

import os

from dotenv import dotenv_values


def told(name: str) -> str | None:
    """The variable as it was set, or as `.env` in the working directory sets it."""
    return os.environ.get(name) or dotenv_values(".env").get(name)
