"""The contacts ever listed, and the passes over a list that led to them.

Pages are spooled to disk as they come, so that memory does not grow with attributes; whether two
passes agree, and what a contact was like before, is DuckDB's to find.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.model import Contact
from history_pipeline.storage import database, files
from history_pipeline.storage.database import paths, quote
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import CONTACTS

_LISTED_AT = b"listed_at"
"""When the newest list was read: an empty one leaves no row that could tell."""

_SPOOLED = pa.schema([("contact_id", pa.string()), ("attributes", pa.string())])


@dataclass(frozen=True, slots=True)
class Listed:
    """What a reading of the list came to."""

    contacts: int
    known: int
    passes: int
    passes_agree: bool


class ContactSpool:
    """One reading of a contact list, in one or more passes. `close` removes what is left."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._directory = layout.scratch / "contacts"
        if self._directory.exists():
            files.remove_tree(self._directory)
        files.make_directory(self._directory)
        self._passes: list[Path] = []

    def add_pass(self, pages: Iterable[list[Contact]]) -> None:
        """Reads one pass to its end."""
        path = self._directory / f"pass-{len(self._passes) + 1}.parquet"
        with files.storing(path), pq.ParquetWriter(path, _SPOOLED, compression="zstd") as writer:
            for page in pages:
                writer.write_table(
                    pa.table(
                        [
                            [contact.contact_id for contact in page],
                            [_canonical(contact.attributes) for contact in page],
                        ],
                        schema=_SPOOLED,
                    )
                )
        self._passes.append(path)

    def last_passes_agree(self) -> bool:
        """Whether the last two passes listed the same contacts."""
        if len(self._passes) < 2:
            return False
        before, after = (f"read_parquet({quote(str(path))})" for path in self._passes[-2:])
        with database.in_memory(self._layout.scratch) as connection:
            row = connection.execute(f"""
                select count(*) from (
                    (select contact_id from {before} except select contact_id from {after})
                    union all
                    (select contact_id from {after} except select contact_id from {before})
                )
            """).fetchone()
        return row is not None and row[0] == 0

    def keep(self, now: datetime) -> Listed:
        """Merges all that was seen into the lake's contacts, atomically. What was listed now has
        `last_seen_at` = `now`; contacts that are listed no more stay as they were."""
        agree = self.last_passes_agree() or len(self._passes) == 1
        known = self._layout.contacts
        old = (
            f"select * from read_parquet({quote(str(known))})"
            if known.exists()
            else "select null::varchar as contact_id, null::varchar as attributes, "
            "null::timestamptz as first_seen_at, null::timestamptz as last_seen_at where false"
        )
        with database.in_memory(self._layout.scratch) as connection:
            merged = connection.sql(
                f"""
                with seen as (
                    select contact_id, arg_max(attributes, filename) as attributes
                    from read_parquet({paths(self._passes)}, filename = true)
                    group by contact_id
                ),
                old as ({old})
                select
                    contact_id,
                    case when seen.contact_id is null then old.attributes
                        else seen.attributes end as attributes,
                    coalesce(old.first_seen_at, $now::timestamptz) as first_seen_at,
                    case when seen.contact_id is null then old.last_seen_at
                        else $now::timestamptz end as last_seen_at
                from seen full outer join old using (contact_id)
                order by contact_id
                """,
                params={"now": now},
            ).to_arrow_table()
        moment = now.astimezone(UTC).isoformat().encode()
        files.replace_table(
            merged.cast(CONTACTS).replace_schema_metadata({_LISTED_AT: moment}), known
        )
        listed = pa.compute.sum(
            pa.compute.equal(merged["last_seen_at"], pa.scalar(now, CONTACTS[3].type))
        ).as_py()
        return Listed(listed or 0, merged.num_rows, len(self._passes), agree)

    def close(self) -> None:
        files.remove_tree(self._directory)


def current_ids(layout: Layout) -> pa.Array:
    """The ids of the newest list; empty where none was read yet."""
    if not layout.contacts.exists():
        return pa.array([], pa.string())
    table = pq.read_table(layout.contacts, columns=["contact_id", "last_seen_at"])
    told = (pq.read_schema(layout.contacts).metadata or {})[_LISTED_AT].decode()
    newest = pa.scalar(datetime.fromisoformat(told), CONTACTS.field("last_seen_at").type)
    listed = table.filter(pa.compute.equal(table["last_seen_at"], newest))
    return listed["contact_id"].combine_chunks()


def _canonical(attributes: dict[str, object]) -> str | None:
    if not attributes:
        return None
    text = json.dumps(attributes, sort_keys=True, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        # half a surrogate pair cannot be stored as text; escaped, it can
        return json.dumps(attributes, sort_keys=True, default=str)
    return text


def add_discovered(layout: Layout, contact_ids: set[str], now: datetime) -> Listed:
    """Keeps contacts that an activity listing found, as one pass of a list."""
    spool = ContactSpool(layout)
    try:
        spool.add_pass([[Contact(contact_id) for contact_id in sorted(contact_ids)]])
        return spool.keep(now)
    finally:
        spool.close()
