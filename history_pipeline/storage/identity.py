"""Whose data lie in a data directory: one server, one zone, one format.

A directory that belongs to another server, or whose days were cut in another zone, is refused
before anything is asked.
"""

from __future__ import annotations

import os
from pathlib import Path

from history_pipeline.errors import ConfigurationError, StorageError
from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LAKE_FORMAT


def open_data_dir(root: Path, *, server: str, zone: str) -> Layout:
    """Makes the directory where it is absent, and checks that it is ours to write.

    Raises ConfigurationError where it belongs to another server or zone, or cannot be written.
    """
    layout = Layout(root)
    files.keep_private()
    try:
        files.make_directory(root)
        if not os.access(root, os.W_OK | os.X_OK):
            raise StorageError("no permission to write")
        known = files.read_json(layout.identity)
        if known is None:
            files.replace_json(
                {"server": server, "zone": zone, "format": LAKE_FORMAT}, layout.identity
            )
            return layout
        if not isinstance(known, dict):
            raise StorageError(f"{layout.identity.name} is damaged")
    except StorageError as exc:
        raise ConfigurationError(
            f"HISTORY_DATA_DIR cannot be used: {exc}; give a directory that this user may write"
        ) from exc
    _check(known, server=server, zone=zone, root=root)
    return layout


def _check(known: dict[str, object], *, server: str, zone: str, root: Path) -> None:
    if known.get("server") != server:
        raise ConfigurationError(
            f"{root} holds the history of {known.get('server')}, but GWS_URL is {server}; "
            "give each server its own HISTORY_DATA_DIR"
        )
    if known.get("zone") != zone:
        raise ConfigurationError(
            f"the days in {root} were cut in {known.get('zone')}, but GWS_TIMEZONE is {zone}; "
            "set it back, or use a new HISTORY_DATA_DIR"
        )
    if known.get("format") != LAKE_FORMAT:
        raise ConfigurationError(
            f"{root} has lake format {known.get('format')}; this version reads {LAKE_FORMAT}"
        )
