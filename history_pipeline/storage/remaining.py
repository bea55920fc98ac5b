"""What is left to ask of some days: requests that failed, sources that were unavailable, contacts
that entered the list later, days that only narrowed runs have asked.
"""

from __future__ import annotations

import pyarrow as pa

from history_pipeline.model import Source, Window
from history_pipeline.storage import database
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import PLAN


def remaining(
    layout: Layout,
    windows: list[Window],
    sources: tuple[Source, ...],
    contact_ids: pa.Array | None = None,
    *,
    and_all_asked: bool = False,
) -> pa.Table:
    """The requests (columns PLAN) that make these windows complete for these contacts, by what
    the warehouse knows; without a list, or with `and_all_asked`, for all who were ever asked for
    in them. A contact that
    is not listed any more is asked where its failure, or a narrowed answer, stands against them.

    Where main is asked, archive is asked after it, even if it was answered before: an interaction
    may have been moved in between. Each window gets one contact more that was answered before, so
    that one which the server does not know can be told from a server that knows nobody.
    """
    names = ", ".join(database.quote(source.value) for source in sources)
    spans = ", ".join(
        f"(date '{window.start.isoformat()}', date '{window.end.isoformat()}')"
        for window in windows
    )
    with database.reading(layout.warehouse, layout.scratch) as connection:
        given = pa.array([], pa.string()) if contact_ids is None else contact_ids
        connection.register("given", pa.table({"contact_id": given}))
        rows = connection.sql(f"""
            with spans(window_start, window_end) as (values {spans}),
            -- of those who left the list, only what stands against their days
            listed as (
                select contact_id from given
                union
                select contact_id from raw_gws.coverage
                join spans on span_start < window_end and span_end > window_start
                where state = 'failed' or not is_whole or {and_all_asked or contact_ids is None}
            ),
            sources as (select unnest([{names}]) as source),
            covered as (
                select contact_id, source, window_start,
                    sum(least(span_end, window_end) - greatest(span_start, window_start)) as days
                from raw_gws.coverage
                join spans on span_start < window_end and span_end > window_start
                where state in ('answered', 'gone') and is_whole
                group by all
            ),
            rest as (
                select listed.contact_id, window_start, source
                from listed cross join spans cross join sources
                left join covered using (contact_id, source, window_start)
                where coalesce(covered.days, 0) < window_end - window_start
            ),
            followed as (
                from rest
                union
                select contact_id, window_start, sources.source
                from rest cross join sources where rest.source = 'main'
            ),
            witnesses as (
                select contact_id
                from raw_gws.coverage where state = 'answered' and source = {names.split(",")[0]}
                order by contact_id in (select contact_id from followed), finished_at desc,
                    contact_id
                limit 1
            )
            select contact_id, window_start, source from followed
            union
            select contact_id, window_start, source
            from witnesses
            cross join (select distinct window_start from followed)
            cross join sources
        """).to_arrow_table()
    return rows.select(PLAN.names).cast(PLAN)


def is_discovered(layout: Layout, days: Window, sources: tuple[Source, ...]) -> bool:
    """Whether whole discoveries of `activity` have told who was active on each of these days."""
    with database.reading(layout.warehouse, layout.scratch) as connection:
        rows = connection.execute(
            """
            select distinct source,
                unnest(generate_series(window_start, window_end - 1, interval 1 day))::date as day
            from raw_gws.run_scopes join raw_gws.runs using (run_id, window_start, window_end)
            where contact_source = 'activity' and is_whole and is_discovery_complete
                and window_start < ? and window_end > ?
            """,
            [days.end, days.start],
        ).fetchall()
    return {(source.value, day) for source in sources for day in days} <= set(rows)
