"""Removes one contact from the lake: its interactions, its requests, its place in every list.

An interaction is its contact's: of the one that the server named for it, or, where it named
none, of the one that was asked for. Another's that merely mentions the contact stays without the
mention. Each file is replaced whole, so a kill costs nothing; the same again goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from history_pipeline.storage import attempts, database, files, forgotten, parts
from history_pipeline.storage.database import quote
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import (
    CONTACTS,
    FROZEN_CONTACTS,
    LEDGER,
    OBSERVATIONS,
    PART_LEDGER,
    PLAN,
    REJECTS,
)
from history_pipeline.storage.warehouse import writing

_BATCH_ROWS = 2_000
_TEXTS = ("subject", "uri", "extra", "started_at_text", "ended_at_text")
_MENTION = "[forgotten]"
_OWNER = "coalesce(contact_id, requested_contact_id)"


@dataclass(slots=True)
class Receipt:
    """How many rows went from where, and the ids of the interactions that went."""

    removed: Counter[str] = field(default_factory=Counter)
    interaction_ids: set[str] = field(default_factory=set)


def forget(layout: Layout, contact_id: str) -> Receipt:
    """Call it with the extraction's lock held; then rebuild the warehouse, which still has it."""
    forgotten.add(layout, contact_id)
    receipt = Receipt()

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        eraser = _Eraser(connection, contact_id, receipt)
        # versions go first: whose they are is known by what the days hold
        hers = eraser.interactions(layout.day_files())
        for path in layout.version_files():
            eraser.observations(path, "versions in the lake")
            eraser.versions(path, hers)
        for path in layout.day_files():
            eraser.observations(path, "interactions in the lake")
        if layout.contacts.exists():
            eraser.rows(layout.contacts, CONTACTS, "contact_id", "contacts")
        for directory in layout.window_ledgers():
            eraser.rows(directory / parts.LEDGER_FILE, LEDGER, "contact_id", "requests")
            eraser.rejects(directory / parts.REJECTS_FILE)
        for attempt in attempts.every(layout):
            _forget_in_attempt(eraser, attempt)

    database.in_little_memory(layout.scratch, work)
    with writing(layout, "forgetting a contact"):
        # a load may be using it until then
        files.remove_tree(layout.scratch)
    return receipt


def _forget_in_attempt(eraser: _Eraser, attempt: attempts.Attempt) -> None:
    if attempt.plan.exists():
        eraser.rows(attempt.plan, PLAN, "contact_id", "plans of runs under way")
    listed = attempt.directory / "contacts.parquet"
    if listed.exists() and eraser.rows(
        listed, FROZEN_CONTACTS, "contact_id", "lists of runs under way"
    ):
        attempts.recount(attempt)
    for part in sorted(attempt.directory.glob("parts/*/part-*")):
        eraser.observations(part / parts.OBSERVATIONS_FILE, "interactions of runs under way")
        eraser.rows(
            part / parts.LEDGER_FILE, PART_LEDGER, "contact_id", "requests of runs under way"
        )
        eraser.rejects(part / parts.REJECTS_FILE)


class _Eraser:
    def __init__(
        self, connection: duckdb.DuckDBPyConnection, contact_id: str, receipt: Receipt
    ) -> None:
        self._connection = connection
        self._name = quote(contact_id)
        self._receipt = receipt

    def observations(self, path: Path, place: str) -> None:
        mentions = " or ".join(f"contains({column}, {self._name})" for column in _TEXTS)
        attributes = f"contains(attributes::varchar, {self._name})"
        touched = (
            f"contact_id = {self._name} or requested_contact_id = {self._name} or {mentions} or "
            f"{attributes}"
        )
        if not path.exists() or not self._count(path, touched):
            return
        gone = self._connection.execute(
            f"select interaction_id from {_rows(path)} where {_OWNER} = {self._name}"
        ).fetchall()
        self._receipt.interaction_ids.update(row[0] for row in gone)
        self._receipt.removed[place] += len(gone)
        cleaned = ", ".join(f"{self._cleaned(column)} as {column}" for column in _TEXTS)
        query = f"""
            select * replace (
                {cleaned},
                case when requested_contact_id = {self._name} then contact_id
                    else requested_contact_id end as requested_contact_id,
                list_transform(attributes, lambda item: {{
                    'name': {self._cleaned("item.name")},
                    'value': {self._cleaned("item.value")},
                    'value_type': item.value_type
                }}) as attributes
            )
            from {_rows(path)} where {_OWNER} <> {self._name}
        """
        self._replace(path, query, OBSERVATIONS)

    def interactions(self, days: list[Path]) -> list[str]:
        """Ids of the contact's interactions in these days."""
        return [
            row[0]
            for path in days
            for row in self._connection.execute(
                f"select distinct interaction_id from {_rows(path)} where {_OWNER} = {self._name}"
            ).fetchall()
        ]

    def versions(self, path: Path, interaction_ids: list[str]) -> None:
        """Removes these interactions' versions, whoever's they were then."""
        if path.exists() and interaction_ids:
            ids = ", ".join(map(quote, interaction_ids))
            self._remove(path, OBSERVATIONS, f"interaction_id in ({ids})", "versions in the lake")

    def rows(self, path: Path, schema: pa.Schema, column: str, place: str) -> int:
        """Removes the contact's rows; returns how many."""
        return self._remove(path, schema, f"{column} = {self._name}", place)

    def rejects(self, path: Path) -> None:
        condition = f"requested_contact_id = {self._name} or contains(payload, {self._name})"
        self._remove(path, REJECTS, condition, "records set aside")

    def _remove(self, path: Path, schema: pa.Schema, condition: str, place: str) -> int:
        gone = self._count(path, condition) if path.exists() else 0
        if gone:
            query = f"from {_rows(path)} where ({condition}) is distinct from true"
            self._replace(path, query, schema)
            self._receipt.removed[place] += gone
        return gone

    def _cleaned(self, column: str) -> str:
        return f"replace({column}, {self._name}, {quote(_MENTION)})"

    def _count(self, path: Path, condition: str) -> int:
        # all rows are fetched: a result that is open would be in the way of the next
        ((rows,),) = self._connection.execute(
            f"select count(*) from {_rows(path)} where {condition}"
        ).fetchall()
        return int(rows)

    def _replace(self, path: Path, query: str, schema: pa.Schema) -> None:
        """The file with the rows of the query, and with what it says of itself."""
        known = pq.read_schema(path)
        # an older version's file has fewer columns
        schema = pa.schema([column for column in schema if column.name in known.names])
        unfinished = path.with_name(f".{path.name}.new")
        with (
            files.storing(path),
            files.private(unfinished) as file,
            pq.ParquetWriter(
                file, schema.with_metadata(known.metadata), compression="zstd", compression_level=1
            ) as writer,
        ):
            for batch in self._batches(query):
                writer.write_batch(batch.select(schema.names).cast(schema))
        with files.storing(path):
            files.sync_file(unfinished)
        files.replace(unfinished, path)

    def _batches(self, query: str) -> Iterator[pa.RecordBatch]:
        yield from self._connection.sql(query).to_arrow_reader(_BATCH_ROWS)


def _rows(path: Path) -> str:
    return f"read_parquet({quote(str(path))})"
