"""Whose data lie in a data directory: one server, one zone, one format.

A directory that belongs to another server, or whose days were cut in another zone, is refused
before anything is asked.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from history_pipeline.errors import ConfigurationError, StorageError, Unwritable
from history_pipeline.storage import files, locks, memory, migration
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LAKE_FORMAT

_RECUTTING = "recutting_to"


def open_data_dir(root: Path, *, server: str, zone: str, to_rebuild: bool = False) -> Layout:
    """Makes the directory where it is absent, and checks that it is ours to write. Only a rebuild
    may come with another zone. A lake of an older format is brought to the present one.

    Raises ConfigurationError where it belongs to another server or zone, or may not be written;
    Unwritable where its disk is full or read-only; LockTimeout where a run is at work on a lake
    of an older format.
    """
    layout = Layout(root)
    files.keep_private()
    memory.keep_in_one_place()
    try:
        files.make_directory(root)
        with files.storing(root):
            _check_writable(root)
        known = files.read_json(layout.identity)
        if known is None:
            known = _take(layout, {"server": server, "zone": zone, "format": LAKE_FORMAT})
        if not isinstance(known, dict):
            raise StorageError(f"{layout.identity.name} is damaged")
    except Unwritable:
        raise
    except StorageError as exc:
        raise ConfigurationError(
            f"HISTORY_DATA_DIR cannot be used: {exc}; give a directory that this user may write"
        ) from exc
    _check(known, server=server, zone=None if to_rebuild else zone, root=root)
    if known["format"] != LAKE_FORMAT:
        migration.to_present(layout)
    return layout


def _take(layout: Layout, ours: dict[str, object]) -> object:
    """The directory is ours, unless another process was first."""
    with locks.exclusive(layout.extraction_lock, "taking the directory", locks.DEADLINE):
        known = files.read_json(layout.identity)
        if known is None:
            files.replace_json(ours, layout.identity)
        return ours if known is None else known


def zone_of(layout: Layout) -> str | None:
    """The zone in which all days are cut; None while they are being cut anew."""
    known = files.read_json(layout.identity) or {}
    return None if _RECUTTING in known else known.get("zone")


def note_recutting(layout: Layout, zone: str) -> None:
    """From here until `note_zone`, nobody may use the directory."""
    files.replace_json({**files.read_json(layout.identity), _RECUTTING: zone}, layout.identity)


def note_zone(layout: Layout, zone: str) -> None:
    """The days are cut in this zone now."""
    known = {**files.read_json(layout.identity), "zone": zone}
    known.pop(_RECUTTING, None)
    files.replace_json(known, layout.identity)


def _check_writable(root: Path) -> None:
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if not os.access(root, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _check(known: dict[str, object], *, server: str, zone: str | None, root: Path) -> None:
    if known.get("server") != server:
        raise ConfigurationError(
            f"{root} holds the history of {known.get('server')}, but GWS_URL is {server}; "
            "give each server its own HISTORY_DATA_DIR"
        )
    if zone is not None and _RECUTTING in known:
        raise ConfigurationError(
            f"the days in {root} were being cut in {known[_RECUTTING]} when that was broken off; "
            "run history-pipeline rebuild"
        )
    if zone is not None and known.get("zone") != zone:
        raise ConfigurationError(
            f"the days in {root} were cut in {known.get('zone')}, but GWS_TIMEZONE is {zone}; "
            "set it back, or run history-pipeline rebuild to cut them anew"
        )
    if known.get("format") not in range(1, LAKE_FORMAT + 1):
        raise ConfigurationError(
            f"{root} has lake format {known.get('format')}; this version reads {LAKE_FORMAT} and "
            "older ones: it was written by a newer version; update"
        )
