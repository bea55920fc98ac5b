"""What is imported, and what is left out."""

from __future__ import annotations

import importlib
import sys

import pytest

from history_pipeline.imports import without

SELDOM = "this"
"""A module of Python's own that nothing here imports."""


def test_a_package_is_not_to_be_had_in_the_block_and_is_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, SELDOM, raising=False)
    with pytest.raises(ImportError), without(SELDOM):
        importlib.import_module(SELDOM)
    assert importlib.import_module(SELDOM).__name__ == SELDOM


def test_what_was_imported_before_stays() -> None:
    with without("importlib"):
        assert importlib.import_module("importlib") is importlib
    assert sys.modules["importlib"] is importlib
