"""The file that analysts read: a copy of the warehouse, replaced and never written.

An open reader keeps the file that it opened; whoever opens anew gets the new one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from history_pipeline.errors import StorageError
from history_pipeline.storage import database, files
from history_pipeline.storage.layout import Layout

_MAGIC_OFFSET, _MAGIC = 8, b"DUCK"


@dataclass(frozen=True, slots=True)
class Published:
    path: Path
    size: int
    interactions: int


def check_target(layout: Layout) -> None:
    """Refuses to replace a file that we did not publish. Raises StorageError."""
    if layout.published.exists() and not _is_duckdb(layout.published):
        raise StorageError(
            f"{layout.published} is no DuckDB file, so it is not replaced; move it away and run "
            "again"
        )


@dataclass(frozen=True, slots=True)
class ModelState:
    """How the models stand to what is loaded. `modelled` counts the loads that they were last
    built over, `modelled_as` says which models with which settings they were."""

    loads: int
    modelled: int
    modelled_as: str | None
    interactions: int
    changed: int


def model_state(layout: Layout) -> ModelState:
    """Raises StorageError where the warehouse was written by an older version."""
    with database.reading(layout.warehouse, layout.scratch) as connection:
        columns = connection.execute("describe raw_gws.load_state").fetchall()
        if "modelled_as" not in [column[0] for column in columns]:
            raise StorageError(
                f"{layout.warehouse} was written by an older version; materialize `warehouse`, "
                "which makes it anew"
            )
        rows = connection.execute("""
            select loads, modelled, modelled_as,
                (select count(*) from raw_gws.interactions),
                (select count(*) from raw_gws.changed_interactions)
            from raw_gws.load_state
        """).fetchall()
    return ModelState(*rows[0]) if rows else ModelState(0, 0, None, 0, 0)


def unmark_modelled(layout: Layout) -> None:
    """The models are about to become others: should that break off, they are a mixture, which
    nobody may publish or go on from. Call it with the warehouse's lock held."""
    with database.writing(layout.warehouse, layout.scratch) as connection:
        connection.execute("update raw_gws.load_state set modelled_as = null")


def mark_modelled(layout: Layout, as_: str | None = None) -> None:
    """The models were built over all that is loaded. Call it with the warehouse's lock held."""
    with database.writing(layout.warehouse, layout.scratch) as connection:
        connection.execute("begin transaction")
        connection.execute("update raw_gws.load_state set modelled = loads, modelled_as = ?", [as_])
        connection.execute("delete from raw_gws.changed_interactions")
        connection.execute("commit")
        connection.execute("checkpoint")


def publish(layout: Layout) -> Published:
    """Puts a copy of the warehouse in place of the published file, atomically. Call it with the
    warehouse's lock held: of two at once, the older copy could come last.

    Raises StorageError where something was loaded that the models do not show yet: readers
    never see half a load.
    """
    check_target(layout)
    if not layout.warehouse.exists():
        raise StorageError("there is no warehouse yet; materialize `warehouse` first")
    fresh = layout.published.with_name(f".{layout.published.name}.new")
    with database.writing(layout.warehouse, layout.scratch) as connection:
        row = connection.execute(
            "select loads, modelled, (select count(*) from raw_gws.interactions) "
            "from raw_gws.load_state"
        ).fetchone()
        connection.execute("checkpoint")
    if row is None or row[0] != row[1]:
        raise StorageError(
            "the models are older than what is loaded; materialize the dbt models, then `published`"
        )
    with files.gone_if_unfinished(fresh):
        with files.storing(fresh):
            shutil.copyfile(layout.warehouse, fresh)
            fresh.chmod(0o600)
            files.sync_file(fresh)
        files.replace(fresh, layout.published)
    return Published(layout.published, layout.published.stat().st_size, int(row[2]))


def _is_duckdb(path: Path) -> bool:
    with files.storing(path), path.open("rb") as file:
        file.seek(_MAGIC_OFFSET)
        return file.read(len(_MAGIC)) == _MAGIC
