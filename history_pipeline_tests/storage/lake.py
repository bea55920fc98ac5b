"""Lakes made by hand: attempts, parts and day files without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from history_pipeline.errors import StorageError
from history_pipeline.model import Source, Window
from history_pipeline.storage import attempts, compaction, database, parts, warehouse
from history_pipeline.storage.attempts import Attempt
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LEDGER, OBSERVATIONS, REJECTS

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
DAY = date(2024, 5, 1)
MAY = Window(date(2024, 5, 1), date(2024, 6, 1))
BOTH = (Source.MAIN, Source.ARCHIVE)
SCOPE: dict[str, object] = {
    "contact_source": "gws",
    "is_whole": True,
    "custom_attributes": "[]",
    "server_timezone": "Europe/Berlin",
}
Row = dict[str, Any]


def run_moment(run: int) -> datetime:
    """When the so manieth run started: one a day."""
    return NOON + timedelta(days=run)


def observation(interaction_id: str = "i1", **fields: Any) -> Row:
    """One copy of an interaction. `run` and `second` say when it was seen; `attributes` is a
    mapping of names to texts; `asked` the names asked for; the rest are columns."""
    run, second = fields.pop("run", 0), fields.pop("second", 1)
    seen_at = run_moment(run) + timedelta(seconds=second)
    day = fields.pop("window_date", DAY)
    started_at = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
    source = fields.pop("source", "main")
    attributes: Mapping[str, str] = fields.pop("attributes", {})
    asked: Iterable[str] = fields.pop("asked", ())
    row: Row = dict.fromkeys(OBSERVATIONS.names)
    row |= {
        "interaction_id": interaction_id,
        "contact_id": "c1",
        "requested_contact_id": "c1",
        "started_at": started_at,
        "started_at_text": started_at.strftime("%Y-%m-%d %H:%M:%S.000+0000"),
        "source": source,
        "window_date": day,
        "attributes": [
            {"name": name, "value": value, "value_type": "string"}
            for name, value in attributes.items()
        ],
        "observed_at": seen_at,
        "run_at": run_moment(run),
        "asked": json.dumps(list(asked), separators=(",", ":"), ensure_ascii=False),
        "seen_in_main": source == "main",
        "seen_in_archive": source == "archive",
        "first_seen_at": seen_at,
        "last_seen_at": seen_at,
        "contact_seen_at": seen_at,
        "unchanged_since": seen_at,
    } | fields
    row["is_own"] = row["contact_id"] == row["requested_contact_id"]
    return row


def reject(payload: str = "null", **fields: Any) -> Row:
    return {
        "reject_id": f"hash of {payload}",
        "reason": "not_an_object",
        "requested_contact_id": "c1",
        "window_start": MAY.start,
        "source": "main",
        "payload": payload,
        "seen_at": NOON,
    } | fields


def ledger_row(contact_id: str, source: Source, **fields: Any) -> Row:
    window: Window = fields.pop("window", MAY)
    return {
        "contact_id": contact_id,
        "window_start": window.start,
        "window_end": window.end,
        "source": source.value,
        "state": "answered",
        "interactions": 0,
        "rejects": 0,
        "attempts": 1,
        "seconds": 0.1,
        "error": None,
        "finished_at": NOON + timedelta(minutes=1),
    } | fields


def write_part(
    attempt: Attempt,
    window: Window,
    *,
    rows: Iterable[Row] = (),
    ledger: Iterable[Row] = (),
    rejects: Iterable[Row] = (),
) -> Path:
    directory = attempt.window_directory(window)
    return parts.write(
        directory,
        parts.next_ordinal(directory),
        pa.Table.from_pylist(list(rows), OBSERVATIONS),
        pa.Table.from_pylist(list(rejects), REJECTS),
        pa.Table.from_pylist(list(ledger), LEDGER),
    )


def breaking(at: int, real: Callable[..., None]) -> Callable[..., None]:
    """Stands in for `real`, and for a kill at the so manieth call of it."""
    count = 0

    def stand_in(*arguments: Path) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise StorageError("killed")
        real(*arguments)

    return stand_in


@dataclass
class Lake:
    """A data directory, and runs over it."""

    layout: Layout
    _read: tuple[tuple[int, int, int], dict[str, list[Row]]] = ((0, 0, 0), {})

    def start(
        self, contacts: Iterable[str] = ("c1",), *, run: int = 0, days: Window = MAY
    ) -> Attempt:
        return attempts.start(
            self.layout, days, "fingerprint", pa.array(list(contacts)), run_moment(run)
        )

    def compact(self, attempt: Attempt, window: Window = MAY, **scope: Any) -> None:
        sources = scope.pop("sources", BOTH)
        compaction.compact(
            self.layout, attempt, window, sources, SCOPE | scope,
            attempt.started_at + timedelta(minutes=5),
        )  # fmt: skip

    def run(
        self,
        rows: Iterable[Row] = (),
        *,
        run: int = 0,
        contacts: Iterable[str] = ("c1",),
        window: Window = MAY,
        states: Mapping[tuple[str, Source], str] | None = None,
        rejects: Iterable[Row] = (),
        **scope: Any,
    ) -> Attempt:
        """A whole run over one window, from its start to its end."""
        contacts = list(contacts)
        attempt = self.start(contacts, run=run, days=window)
        ledger = [
            ledger_row(
                contact_id,
                source,
                window=window,
                state=(states or {}).get((contact_id, source), "answered"),
                finished_at=run_moment(run) + timedelta(minutes=1),
            )
            for contact_id in contacts
            for source in scope.get("sources", BOTH)
        ]
        write_part(attempt, window, rows=rows, ledger=ledger, rejects=rejects)
        self.compact(attempt, window, **scope)
        return attempts.finish(attempt)

    def load(self, run: int = 0) -> warehouse.Loaded:
        return warehouse.load(self.layout, run_moment(run) + timedelta(minutes=10))

    # -- what is there ------------------------------------------------------------------------

    def tables(self) -> dict[str, list[Row]]:
        """All raw tables, read anew whenever the warehouse has changed."""
        facts = self.layout.warehouse.stat()
        version = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if self._read[0] != version:
            found = {}
            with database.reading(self.layout.warehouse, self.layout.scratch) as connection:
                for name in TABLES:
                    result = connection.execute(f"from raw_gws.{name}")
                    names = [column[0] for column in result.description or []]
                    found[name] = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
            self._read = version, found
        return self._read[1]

    def table(self, name: str, but: Iterable[str] = ()) -> list[Row]:
        """All rows of a raw table, sorted."""
        rows = self.tables()[name]
        kept = [{key: value for key, value in row.items() if key not in set(but)} for row in rows]
        return sorted(kept, key=repr)

    def day_rows(self, day: date = DAY) -> list[Row]:
        """A day's file as it lies in the lake."""
        with database.in_memory(self.layout.scratch) as connection:
            result = connection.execute(f"from read_parquet('{self.layout.day(day)}')")
            names = [column[0] for column in result.description or []]
            rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        return sorted(rows, key=lambda row: (row["interaction_id"], row["asked"]))

    def interaction(self, interaction_id: str = "i1") -> Row:
        (row,) = [
            row for row in self.table("interactions") if row["interaction_id"] == interaction_id
        ]
        return row

    def attributes(self, interaction_id: str = "i1") -> dict[str, str]:
        return {
            row["name"]: row["value"]
            for row in self.table("interaction_attributes")
            if row["interaction_id"] == interaction_id
        }


TABLES = (
    "interactions",
    "interaction_attributes",
    "interaction_versions",
    "contacts",
    "runs",
    "requests",
    "rejects",
    "coverage",
    "run_scopes",
    "certificates",
    "load_state",
    "loaded_files",
)


def content(lake: Lake) -> dict[str, list[str]]:
    """Everything that the warehouse says; not how it came to be, of which certificates tell."""
    internal = ("certificates", "load_state", "loaded_files")
    return {
        name: sorted(map(repr, rows))
        for name, rows in lake.tables().items()
        if name not in internal
    }
