"""The contacts ever listed, and the passes over a list that led to them.

Pages are spooled to disk as they come, so that memory does not grow with attributes; whether two
passes agree, and what a contact was like before, is DuckDB's to find.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history_pipeline.errors import StorageError
from history_pipeline.model import Contact
from history_pipeline.storage import damage, database, files, forgotten
from history_pipeline.storage.database import paths, quote
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import CONTACTS, MOMENT

_LISTED_AT = b"listed_at"
"""When the newest list was read: an empty one leaves no row that could tell."""

_SPOOLED = pa.schema([("contact_id", pa.string()), ("attributes", pa.string())])


_NOBODY = """(
    select null::varchar as contact_id, null::varchar as attributes,
        null::timestamptz as first_seen_at, null::timestamptz as last_seen_at
    where false
)"""

_BATCH_ROWS = 5_000
_DISCOVERED = "discovered.parquet"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a reading of the list came to."""

    contacts: int
    known: int
    passes: int
    passes_agree: bool


class ContactSpool:
    """One reading of a contact list, in one or more passes. `close` removes what is left. There is
    one at a time: make it with the extraction's lock held."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._directory = layout.scratch / "contacts"
        if self._directory.exists():
            files.remove_tree(self._directory)
        files.make_directory(self._directory)
        self._passes: list[Path] = []
        self._discovered: Path | None = None

    def add_pass(self, pages: Iterable[list[Contact]]) -> None:
        """Reads one pass to its end."""
        path = self._directory / f"pass-{len(self._passes) + 1}.parquet"
        self._write(path, pages)
        self._passes.append(path)

    def add_discovered(self, contact_ids: Collection[str]) -> None:
        """Contacts that some activity has told of, but not what they are like."""
        self._discovered = self._directory / _DISCOVERED
        rest = iter(sorted(contact_ids))
        batches = iter(lambda: list(islice(rest, _BATCH_ROWS)), [])
        self._write(self._discovered, ([Contact(each) for each in batch] for batch in batches))

    def _write(self, path: Path, pages: Iterable[list[Contact]]) -> None:
        with files.storing(path), pq.ParquetWriter(path, _SPOOLED, compression="zstd") as writer:
            for rows in _batched(self._remembered(pages)):
                writer.write_table(
                    pa.table(
                        [
                            [contact.contact_id for contact in rows],
                            [_canonical(contact.attributes) for contact in rows],
                        ],
                        schema=_SPOOLED,
                    )
                )

    def _remembered(self, pages: Iterable[list[Contact]]) -> Iterator[Contact]:
        known = forgotten.read(self._layout)
        for page in pages:
            yield from (contact for contact in page if contact.contact_id not in known)

    def last_passes_agree(self) -> bool:
        """Whether the last two passes listed the same contacts."""
        if len(self._passes) < 2:
            return False
        before, after = (f"read_parquet({quote(str(path))})" for path in self._passes[-2:])
        only_in_one = f"""
            (select contact_id from {before} except select contact_id from {after})
            union all
            (select contact_id from {after} except select contact_id from {before})
            limit 1
        """
        return not database.in_little_memory(
            self._layout.scratch, lambda connection: connection.execute(only_in_one).fetchall()
        )

    def keep(self, now: datetime) -> Listed:
        """Merges all that was seen into the lake's contacts, atomically. What was listed now has
        `last_seen_at` = `now`; contacts that are listed no more stay as they were."""
        agree = self.last_passes_agree() or len(self._passes) <= 1
        target = self._layout.contacts
        moment = now.astimezone(UTC).isoformat().encode()
        schema = CONTACTS.with_metadata({_LISTED_AT: moment})
        fresh = self._directory / target.name

        def merge(connection: duckdb.DuckDBPyConnection) -> None:
            with (
                files.storing(fresh),
                files.private(fresh) as file,
                pq.ParquetWriter(file, schema, **files.PARQUET) as writer,
            ):
                for batch in self._merged(connection, target, now):
                    writer.write_batch(batch.cast(CONTACTS))
            with files.storing(fresh):
                files.sync_file(fresh)

        with damage.looked_for(contact_lists=[target]):
            database.in_little_memory(self._layout.scratch, merge)
        files.make_directory(target.parent)
        files.replace(fresh, target)
        listed = pc.sum(pc.equal(_seen_last(target), pa.scalar(now, MOMENT))).as_py()
        return Listed(listed or 0, pq.read_metadata(target).num_rows, len(self._passes) or 1, agree)

    def _merged(
        self, connection: duckdb.DuckDBPyConnection, known: Path, now: datetime
    ) -> Iterator[pa.RecordBatch]:
        """What is known and what was seen now, a share of the contacts at a time."""
        read = [*self._passes, *filter(None, [self._discovered])]
        seen = f"read_parquet({paths(read)}, filename = true)"
        old = f"read_parquet({quote(str(known))})" if known.exists() else _NOBODY
        sizes = map(_size, [*read, known] if known.exists() else read)
        shares = database.shares(*map(sum, zip(*sizes, strict=True)))
        for share in range(shares):
            mine = f"where hash(contact_id) % {shares} = {share}"
            merged = connection.sql(
                f"""
                with seen as (
                    select contact_id, arg_max(attributes, filename) as attributes,
                        bool_or(not ends_with(filename, '/{_DISCOVERED}')) as is_listed
                    from {seen} {mine} group by contact_id
                ),
                old as (select * from {old} {mine})
                select
                    contact_id,
                    case when seen.is_listed then seen.attributes
                        else old.attributes end as attributes,
                    coalesce(old.first_seen_at, $now::timestamptz) as first_seen_at,
                    case when seen.contact_id is null then old.last_seen_at
                        else $now::timestamptz end as last_seen_at
                from seen full outer join old using (contact_id)
                """,
                params={"now": now},
            )
            yield from merged.to_arrow_reader(_BATCH_ROWS)

    def close(self) -> None:
        files.remove_tree(self._directory)


def current_ids(layout: Layout) -> pa.Array:
    """The ids of the newest list, in order; empty where none was read yet."""
    if not layout.contacts.exists():
        return pa.array([], pa.string())
    with damage.of_contact_list(layout.contacts):
        table = damage.read_columns(layout.contacts, ["contact_id", "last_seen_at"])
    told = (table.schema.metadata or {}).get(_LISTED_AT)
    if told is None:
        raise StorageError(f"{layout.contacts} is not a list of this pipeline: remove it")
    newest = pa.scalar(datetime.fromisoformat(told.decode()), MOMENT)
    listed = table.filter(pc.equal(table["last_seen_at"], newest))["contact_id"].combine_chunks()
    return listed.take(pc.sort_indices(listed))


def _batched(contacts: Iterable[Contact]) -> Iterator[list[Contact]]:
    """Pages are small, and a row group has a price."""
    rest = iter(contacts)
    while rows := list(islice(rest, _BATCH_ROWS)):
        yield rows


def _size(path: Path) -> tuple[int, int]:
    """Rows, and the bytes that they take unpacked."""
    facts = pq.read_metadata(path)
    return facts.num_rows, sum(
        facts.row_group(n).total_byte_size for n in range(facts.num_row_groups)
    )


def _seen_last(path: Path) -> pa.ChunkedArray:
    return pq.read_table(path, columns=["last_seen_at"])["last_seen_at"]


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


def add_discovered(layout: Layout, contact_ids: Collection[str], now: datetime) -> Listed:
    """Keeps contacts that an activity listing found, as the newest list."""
    spool = ContactSpool(layout)
    try:
        spool.add_discovered(contact_ids)
        return spool.keep(now)
    finally:
        spool.close()
