"""Cases of one test that differ in what they are given, and go the same way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_slow(cases: Iterable[Any], *, quick: int = 1) -> list[Any]:
    """The cases as parameters: `quick` of them for `make test`, the others with the slow tests.
    One that is a tuple fills as many arguments."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[] if number < quick else [pytest.mark.slow],
        )
        for number, case in enumerate(cases)
    ]
