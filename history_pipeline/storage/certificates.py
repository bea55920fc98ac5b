"""What a run can show for itself: its plan, how each of its requests ended, and what its days hold
now that they are loaded.

One certificate a run and window, written once, by the load that takes the window in: as a JSON
file in the lake and as a row of `raw_gws.certificates`. Its hash is that of the rows' content,
whatever their order and whenever they were seen: the same days read again from an unchanged
server, or made anew from the lake, have the same. It names no contact and no interaction.
"""

from __future__ import annotations

import logging
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from history_pipeline.errors import Damaged
from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout

log = logging.getLogger(__name__)

_COUNTS = ("planned", "answered", "unavailable", "gone", "failed")
_WHEN_SEEN = "first_seen_at, last_seen_at, requested_contact_id"
"""What differs between two looks at the same. Of a merged contact's interaction, whichever of its
ids was asked last is the one that it was requested for."""


class Certificate(NamedTuple):
    """A row of `raw_gws.certificates`; `window_end` is out."""

    run_id: str
    window_start: date
    window_end: date
    planned: int
    answered: int
    unavailable: int
    gone: int
    failed: int
    interactions: int
    attributes: int
    rejects: int
    content_hash: str
    fingerprint: str
    loaded_at: datetime

    @property
    def name(self) -> str:
        """What the window's ledger and the certificate's file are called."""
        return f"{self.run_id}.{self.window_start}.{self.window_end}"


def take(
    connection: duckdb.DuckDBPyConnection, layout: Layout, windows: list[Path], now: datetime
) -> list[Certificate]:
    """Certifies these windows, whose days and ledgers are loaded: those that have a certificate
    keep it. Call it within the load's transaction."""
    known = {directory: _known(place(layout, directory.name)) for directory in windows}
    runs = {
        directory: files.read_json(directory / "run.json")
        for directory, each in known.items()
        if each is None
    }
    sums = _sums_by_day(connection, list(runs.values()))
    given = [known[directory] or _certify(runs[directory], sums, now) for directory in windows]
    for each in given:
        connection.execute(
            "delete from raw_gws.certificates "
            "where run_id = ? and window_start = ? and window_end = ?",
            each[:3],
        )
        connection.execute(
            f"insert into raw_gws.certificates values ({', '.join('?' * len(each))})", each
        )
    return given


def keep(connection: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    """Writes the files of certificates that have none. Call it when the load is committed: what a
    kill prevents here, the next load does."""
    names = ", ".join(Certificate._fields)
    rows = connection.execute(f"select {names} from raw_gws.certificates").fetchall()
    for each in map(Certificate._make, rows):
        path, ledger = place(layout, each.name), layout.ledger / each.name
        if not path.exists() and ledger.exists():
            files.replace_json(_written(each, files.read_json(ledger / "run.json")), path)


def paths(layout: Layout, run_id: str) -> list[Path]:
    """The certificates of a run, one a window."""
    return sorted(layout.certificates.glob(f"{run_id}.*.json"))


def content_hash(connection: duckdb.DuckDBPyConnection, start: date, end: date) -> str:
    """That of the days from `start` to before `end`, as they are loaded now."""
    run = {"window_start": start.isoformat(), "window_end": end.isoformat()}
    return _added(_sums_by_day(connection, [run]), start, end)[2]


_Sums = dict[date, tuple[int, int, int, int]]
"""By day: interactions, attributes, and the two halves of the sum over all rows' digests."""

_HALF = 1 << 64


def _sums_by_day(connection: duckdb.DuckDBPyConnection, runs: list[dict[str, Any]]) -> _Sums:
    """Of the days of these runs' windows. Each day is read once, however many windows have it."""
    if not runs:
        return {}
    first = min(run["window_start"] for run in runs)
    end = max(run["window_end"] for run in runs)
    rows = connection.execute(
        f"""
        with days as not materialized (
            from raw_gws.interactions where window_date >= ? and window_date < ?
        ),
        texts as (
            select held.window_date, true as is_interaction, to_json(held)::varchar as content
            from (select * exclude ({_WHEN_SEEN}) from days) as held
            union all
            select days.window_date, false, to_json(held)::varchar
            from raw_gws.interaction_attributes as held join days using (interaction_id)
        )
        select
            window_date,
            count(*) filter (where is_interaction),
            count(*) filter (where not is_interaction),
            sum((digest & {_HALF - 1})::ubigint),
            sum((digest >> 64)::ubigint)
        from (select window_date, is_interaction, md5_number(content) as digest from texts)
        group by window_date
        """,
        [first, end],
    ).fetchall()
    return {day: (count, attributes, up, low) for day, count, attributes, up, low in rows}


def _added(sums: _Sums, start: date, end: date) -> tuple[int, int, str]:
    """(interactions, attributes, hash) of the days from `start` to before `end`."""
    of_days = [each for day, each in sums.items() if start <= day < end]
    interactions, attributes, upper, lower = (
        sum(column) for column in zip((0, 0, 0, 0), *of_days, strict=True)
    )
    return interactions, attributes, f"{upper % _HALF:016x}{lower % _HALF:016x}"


def _certify(run: dict[str, Any], sums: _Sums, now: datetime) -> Certificate:
    start, end = (date.fromisoformat(run[name]) for name in ("window_start", "window_end"))
    interactions, attributes, hash_ = _added(sums, start, end)
    counts = {
        name: sum(account[name] for account in run["accounts"]) for name in (*_COUNTS, "rejects")
    }
    return Certificate(
        run_id=run["run_id"],
        window_start=start,
        window_end=end,
        interactions=interactions,
        attributes=attributes,
        content_hash=hash_,
        fingerprint=run["fingerprint"],
        loaded_at=now,
        **counts,
    )


def _written(each: Certificate, run: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": each.run_id,
        "days": {"first": each.window_start.isoformat(), "end": each.window_end.isoformat()},
        "zone": run["scope"]["server_timezone"],
        "fingerprint": each.fingerprint,
        "asked_at": run["started_at"],
        "ended_at": run["finished_at"],
        "loaded_at": each.loaded_at.isoformat(),
        "requests": {
            account["source"]: {name: account[name] for name in _COUNTS}
            for account in run["accounts"]
        },
        "rows": {
            "interactions": each.interactions,
            "attributes": each.attributes,
            "rejects": each.rejects,
        },
        "content_hash": each.content_hash,
    }


def _known(path: Path) -> Certificate | None:
    """A certificate that was given; None where there is none that can be read."""
    if not path.exists():
        return None
    try:
        known = files.read_json(path)
        counts = {name: sum(each[name] for each in known["requests"].values()) for name in _COUNTS}
        return Certificate(
            run_id=known["run_id"],
            window_start=date.fromisoformat(known["days"]["first"]),
            window_end=date.fromisoformat(known["days"]["end"]),
            content_hash=known["content_hash"],
            fingerprint=known["fingerprint"],
            loaded_at=datetime.fromisoformat(known["loaded_at"]),
            **counts,
            **{name: known["rows"][name] for name in ("interactions", "attributes", "rejects")},
        )
    except (Damaged, LookupError, TypeError, ValueError, AttributeError):
        log.warning("%s cannot be read: its days are certified anew, as they are now", path)
        files.remove_tree(path)
        return None


def place(layout: Layout, name: str) -> Path:
    return layout.certificates / f"{name}.json"
