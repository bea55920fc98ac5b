"""One server, and certificates, for all ways to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from history_pipeline_tests.end_to_end.running import simulator
from history_pipeline_tests.ways_in.asking import SPAN
from history_pipeline_tests.ways_in.certificates import Authority, authority


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GWS_", "HISTORY_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with simulator(SPAN) as url:
        yield url


@pytest.fixture(scope="session")
def private(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The site's own authority."""
    return _authority(tmp_path_factory.mktemp("private"), "Private CA")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody here trusts."""
    return _authority(tmp_path_factory.mktemp("stranger"), "Another CA")


def _authority(directory: Path, name: str) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the PATH")
    return authority(directory / "ca", name)
