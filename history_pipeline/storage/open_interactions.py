"""Interactions that are open in the warehouse, and when they were last asked about.

When it was last seen does not tell: one that the server shows no more would be asked for ever as
often as at first. Coverage does not either: its spans keep the newest of many days' moments, and
the ledger forgets after a month. So each load notes, for what is open, when its contact was last
asked for its day. Does not know when anything is due (`open_again`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import duckdb
import pyarrow as pa

from history_pipeline.model import OpenInteraction
from history_pipeline.storage import damage, database
from history_pipeline.storage.database import paths
from history_pipeline.storage.layout import Layout

_AT_ONCE = 10_000

_PATIENCE = 5.0
"""Seconds to wait for somebody who has the warehouse open beside its lock: it can be done next
time, and nothing else goes on meanwhile."""

_ASKED_AS = "coalesce(contact_id, requested_contact_id)"
"""The newest contact that was seen is asked: the one that it was moved from answers no more."""


def note_asked(connection: duckdb.DuckDBPyConnection) -> None:
    """Notes what the outcomes in the temporary table `requests` have asked about. An answer that
    lacks an interaction counts, and so does a source that is not offered; a failure does not."""
    connection.execute(f"""
        insert into raw_gws.open_asked
        select open.interaction_id, requests.source, max(requests.finished_at)
        from (
            select interaction_id, window_date, {_ASKED_AS} as contact_id
            from raw_gws.interactions where ended_at is null
        ) as open
        join requests on requests.contact_id = open.contact_id
            and open.window_date >= requests.window_start
            and open.window_date < requests.window_end
        where requests.state <> 'failed'
        group by all
    """)


def forget_ended(connection: duckdb.DuckDBPyConnection) -> None:
    """Keeps one row for each interaction that is open, and source."""
    connection.execute("""
        create or replace temp table asked as
        select interaction_id, source, max(asked_at) as asked_at
        from raw_gws.open_asked
        semi join (
            select interaction_id from raw_gws.interactions where ended_at is null
        ) as open using (interaction_id)
        group by all;
        delete from raw_gws.open_asked;
        insert into raw_gws.open_asked by name from asked;
        drop table asked;
    """)


def opened_before(layout: Layout, day: date, *, has_archive: bool) -> Iterator[OpenInteraction]:
    """What is open of the days before, by contact and day. Call it with the warehouse's lock
    held. A few rows at a time: there can be millions."""
    with database.reading(layout.warehouse, layout.scratch, _PATIENCE) as connection:
        asked = "raw_gws.open_asked" if _has_notes(connection) else f"({_NO_NOTES})"
        result = connection.execute(_OPEN.format(asked=asked), {"day": day, "archive": has_archive})
        while rows := result.fetchmany(_AT_ONCE):
            yield from (OpenInteraction(*row) for row in rows)


def ids_of(layout: Layout, plan: pa.Table, width: int) -> pa.Array:
    """Ids of what is open and asked about by `plan`, whose windows are `width` days wide at most.
    Call it with the warehouse's lock held."""
    with database.reading(layout.warehouse, layout.scratch, _PATIENCE) as connection:
        connection.register("plan", plan)
        found = connection.sql(
            f"""
            select distinct interaction_id
            from (
                select interaction_id, window_date, {_ASKED_AS} as contact_id
                from raw_gws.interactions where ended_at is null
            ) as open
            join plan on plan.contact_id = open.contact_id
                and open.window_date >= plan.window_start
                and open.window_date < plan.window_start + {width}
            order by interaction_id
            """
        ).to_arrow_table()
    return found["interaction_id"].combine_chunks()


def ended_of(layout: Layout, interaction_ids: pa.Array, days: Iterable[date]) -> int:
    """How many of these the lake holds an end of, on these days."""
    files_ = [path for path in map(layout.day, days) if path.exists()]
    if not files_ or not len(interaction_ids):
        return 0

    def count(connection: duckdb.DuckDBPyConnection) -> int:
        connection.register("asked_about", pa.table({"interaction_id": interaction_ids}))
        ((ended,),) = connection.execute(
            f"""
            select count(distinct interaction_id) from read_parquet({paths(files_)})
            where ended_at is not null
                and interaction_id in (select interaction_id from asked_about)
            """
        ).fetchall()
        return int(ended)

    with damage.looked_for(days=files_):
        return database.in_little_memory(layout.scratch, count)


def _has_notes(connection: duckdb.DuckDBPyConnection) -> bool:
    """A warehouse that an older version has loaded has none yet."""
    found = connection.execute(
        "select 1 from duckdb_tables() where schema_name = 'raw_gws' and table_name = 'open_asked'"
    ).fetchall()
    return bool(found)


_NO_NOTES = """
    select null::varchar as interaction_id, null::varchar as source, null::timestamptz as asked_at
"""

# An answer and what it shows are put down within moments of each other, in either order.
_OPEN = f"""
    with noted as (
        select
            interaction_id,
            max(asked_at) filter (where source = 'main') as main_at,
            max(asked_at) filter (where source = 'archive') as archive_at
        from {{asked}} group by interaction_id
    )
    select
        {_ASKED_AS} as contact_id,
        window_date,
        started_at,
        greatest(last_seen_at, coalesce(main_at, last_seen_at)) as asked_at,
        coalesce(
            $archive
            and main_at > last_seen_at + interval 1 minute
            and (archive_at is null or archive_at < main_at),
            false
        ) as is_missing
    from raw_gws.interactions
    left join noted using (interaction_id)
    where ended_at is null and window_date < $day
    order by 1, 2
"""
