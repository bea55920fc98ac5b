"""Whose data lie in a data directory."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from history_pipeline.errors import ConfigurationError
from history_pipeline.storage import files, locks
from history_pipeline.storage.identity import open_data_dir
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LAKE_FORMAT

SERVER, ZONE = "https://gws.example.com", "Europe/Berlin"


@pytest.fixture(autouse=True)
def _own_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def opened(root: Path, server: str = SERVER, zone: str = ZONE) -> Layout:
    return open_data_dir(root, server=server, zone=zone)


def test_a_new_directory_is_made_for_its_owner_alone_and_remembers_whose_it_is(
    tmp_path: Path,
) -> None:
    root = tmp_path / "a" / "b"
    layout = opened(root)
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.identity.stat().st_mode) == 0o600
    assert opened(root) == layout


def test_what_is_written_afterwards_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    opened(tmp_path / "d")
    (tmp_path / "d" / "made by somebody else's code").write_text("x")
    mode = (tmp_path / "d" / "made by somebody else's code").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize(
    ("server", "zone", "named"),
    [
        ("https://other.example.com", ZONE, SERVER),
        ("http://gws.example.com", ZONE, SERVER),
        ("https://gws.example.com:8443", ZONE, SERVER),
        (SERVER, "Europe/Paris", ZONE),
        (SERVER, "UTC", ZONE),
    ],
)
def test_another_server_or_zone_is_refused_by_name(
    tmp_path: Path, server: str, zone: str, named: str
) -> None:
    opened(tmp_path / "d")
    before = (tmp_path / "d" / "identity.json").read_bytes()
    with pytest.raises(ConfigurationError, match=named):
        opened(tmp_path / "d", server, zone)
    assert (tmp_path / "d" / "identity.json").read_bytes() == before


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    layout = opened(tmp_path / "d")
    layout.identity.write_text(json.dumps({"server": SERVER, "zone": ZONE, "format": 3}))
    with pytest.raises(ConfigurationError, match="format 3"):
        opened(tmp_path / "d")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_identity_is_refused_and_not_written_over(tmp_path: Path, content: bytes) -> None:
    layout = opened(tmp_path / "d")
    layout.identity.write_bytes(content)
    with pytest.raises(ConfigurationError, match="identity"):
        opened(tmp_path / "d")
    assert layout.identity.read_bytes() == content


def test_an_identity_that_is_no_object_is_refused(tmp_path: Path) -> None:
    layout = opened(tmp_path / "d")
    layout.identity.write_text("[]")
    with pytest.raises(ConfigurationError):
        opened(tmp_path / "d")


def test_a_file_in_the_directorys_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("a file")
    with pytest.raises(ConfigurationError, match="HISTORY_DATA_DIR"):
        opened(tmp_path / "d")


def test_of_two_that_take_a_new_directory_at_once_the_first_has_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    refused: list[str] = []

    def take() -> None:
        try:
            opened(tmp_path)
        except ConfigurationError as exc:
            refused.append(str(exc))

    second = threading.Thread(target=take)
    with locks.exclusive(layout.extraction_lock, "taking the directory", 0):
        second.start()
        deadline = time.monotonic() + 30
        while locks.holder(layout.extraction_lock.with_suffix(".queue")) is None:
            assert second.is_alive() and time.monotonic() < deadline, "it did not wait"
            time.sleep(0.01)
        files.replace_json(
            {"server": "https://first.example.com", "zone": ZONE, "format": LAKE_FORMAT},
            layout.identity,
        )
    second.join(30)
    assert len(refused) == 1 and "https://first.example.com" in refused[0]
