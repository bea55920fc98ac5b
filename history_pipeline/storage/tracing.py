"""The way of one interaction: which requests brought it, in which attempt and answer, which file
holds it, which load took it in, and what the models make of it.

Reads the published file and the lake; asks nobody. Tells no subject and no attribute's value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from history_pipeline.storage import certificates, damage, database, files, parts
from history_pipeline.storage.database import paths, quote
from history_pipeline.storage.layout import Layout

Row = dict[str, Any]


@dataclass(slots=True)
class Trace:
    """Rows in the order in which an interaction comes by; each list may be empty. `requests` are
    of those whose window has its day and whose contact it was asked for, oldest first; those
    with `gave_row` brought an observation that the lake still has. `versions` are of
    marts.interactions_history, `modelled` of marts.interactions."""

    interaction_id: str
    requests: list[Row] = field(default_factory=list)
    observations: list[Row] = field(default_factory=list)
    files: list[Row] = field(default_factory=list)
    certificates: list[Row] = field(default_factory=list)
    versions: list[Row] = field(default_factory=list)
    modelled: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        return bool(self.observations or self.modelled or self.rejects)


def trace(layout: Layout, interaction_id: str) -> Trace:
    """Empty lists for an interaction that was never seen. Raises StorageError."""
    found = Trace(interaction_id)
    if layout.published.exists():
        with database.reading(layout.published, layout.scratch) as connection:
            name = quote(interaction_id)
            found.modelled = database.rows(connection, _MODELLED.format(id=name))
            found.versions = database.rows(connection, _VERSIONS.format(id=name))
            found.rejects = database.rows(connection, _REJECTS.format(id=name))
            certified = database.rows(connection, _CERTIFICATES)
            loaded = dict(
                connection.execute("select path, loaded_at from raw_gws.loaded_files").fetchall()
            )
            days = [row[0] for row in connection.execute(_DAYS.format(id=name)).fetchall()]
    else:
        loaded, days, certified = {}, [], []
    with database.in_memory(layout.scratch) as connection:
        held = [path for path in map(layout.day, days) if path.exists()] or layout.day_files()
        found.observations = _observations(connection, held, interaction_id)
        found.requests = _requests(connection, layout, found)
    for path in dict.fromkeys(Path(row["filename"]) for row in found.observations):
        relative = str(path.relative_to(layout.lake))
        found.files.append(
            {"path": path, "bytes": path.stat().st_size, "loaded_at": loaded.get(relative)}
        )
    gave = {
        (row["run_id"], row["window_start"], row["window_end"])
        for row in found.requests
        if row["gave_row"]
    }
    for row in certified:
        of_window = (row["run_id"], row["window_start"], row["window_end"])
        if of_window in gave:
            row["path"] = certificates.place(layout, ".".join(map(str, of_window)))
            found.certificates.append(row)
    return found


def _observations(
    connection: duckdb.DuckDBPyConnection, days: list[Path], interaction_id: str
) -> list[Row]:
    """As the days' files hold them: one for each set of names that was asked for."""
    if not days:
        return []
    with damage.looked_for(days=days):
        return database.rows(
            connection,
            f"""
            select window_date, source, contact_id, requested_contact_id, media_type, started_at,
                ended_at, run_at, observed_at, unchanged_since, first_seen_at, last_seen_at,
                seen_in_main, seen_in_archive, len(attributes) as attributes, asked, filename
            from read_parquet({paths(days)}, filename = true)
            where interaction_id = {quote(interaction_id)}
            order by observed_at
            """,
        )


def _requests(connection: duckdb.DuckDBPyConnection, layout: Layout, found: Trace) -> list[Row]:
    """Who names the interaction was asked for it, in every run over its day."""
    contacts = {
        contact
        for row in (*found.observations, *found.versions, *found.rejects)
        for contact in (row["requested_contact_id"], row.get("contact_id"))
        if contact is not None
    }
    days = {row["window_date"] for row in found.observations} | {
        row["window_start"] for row in found.rejects
    }
    told = [
        (directory, files.read_json(directory / "run.json"))
        for directory in layout.window_ledgers()
        if _covers(directory.name, days)
    ]
    if not contacts or not told:
        return []
    ledgers = [directory / parts.LEDGER_FILE for directory, _ in told]
    with damage.looked_for(ledgers=[directory for directory, _ in told]):
        rows = database.rows(
            connection,
            f"""
            select filename, contact_id, window_start, window_end, source, state, interactions,
                attempts, seconds, error, finished_at
            from read_parquet({paths(ledgers)}, filename = true)
            where contact_id in ({", ".join(map(quote, sorted(contacts)))})
            order by finished_at
            """,
        )
    runs = {str(directory / parts.LEDGER_FILE): run for directory, run in told}
    given = {(row["run_at"].isoformat(), row["source"], row["requested_contact_id"])
             for row in found.observations}  # fmt: skip
    for row in rows:
        run = runs[row.pop("filename")]
        row["run_id"] = run["run_id"]
        row["gave_row"] = (run["started_at"], row["source"], row["contact_id"]) in given
    return rows


def _covers(name: str, days: Iterable[date]) -> bool:
    """Whether the window of a ledger's directory has one of the days."""
    start, end = map(date.fromisoformat, name.rsplit(".", 2)[1:])
    return any(start <= day < end for day in days)


_DAYS = """
    select window_date from raw_gws.interactions where interaction_id = {id}
    union
    select window_date from raw_gws.moved_interactions where interaction_id = {id}
"""

_MODELLED = """
    select day, media_type, type_id, state, contact_id, owner_id, source, is_open,
        duration_seconds, contact_sequence, days_since_previous, is_repeat_7d, attribute_count,
        hour(started_at_local) + 24 * (isodow(started_at_local) - 1) as hour_of_week
    from marts.interactions where interaction_id = {id}
"""

_VERSIONS = """
    select version, seen_from, seen_until, what_changed, state, owner_id, contact_id,
        requested_contact_id, ended_at, source
    from marts.interactions_history where interaction_id = {id} order by version
"""

_CERTIFICATES = """
    select run_id, window_start, window_end, content_hash from raw_gws.certificates
"""

# of a payload that DuckDB cannot read, the id may be anywhere
_REJECTS = """
    select reject_id, reason, requested_contact_id, window_start, source, seen_at, resolved_at,
        json_valid(payload) as is_its_id
    from raw_gws.rejects
    where case
        when json_valid(payload) then json_extract_string(payload, '$.id') = {id}
        else contains(payload, {id})
    end
    order by seen_at
"""
