"""How every contact's days stand, for ever: spans that do not overlap.

The ledger forgets answered requests after a month; what it proved is kept here. An answer of a
run with the site's whole configuration stands above all; after that whole runs above narrowed
ones, and the newer outcome above the older.
"""

from __future__ import annotations

import duckdb


def merge(connection: duckdb.DuckDBPyConnection, *, start: str, end: str, is_whole: bool) -> None:
    """Merges the outcomes in the temporary table `requests`, all of one window (ISO days,
    `end` excluded), into raw_gws.coverage."""
    connection.execute(
        """
        create or replace temp table touched as
        select contact_id, source, ?::date as span_start, ?::date as span_end, state,
            ? as is_whole, finished_at
        from requests
        """,
        [start, end, is_whole],
    )
    connection.execute("""
        create or replace temp table standing as
        from raw_gws.coverage
        semi join touched
            on touched.contact_id = coverage.contact_id
            and touched.source = coverage.source
            and coverage.span_start <= touched.span_end
            and coverage.span_end >= touched.span_start;

        delete from raw_gws.coverage
        using standing
        where standing.contact_id = coverage.contact_id
            and standing.source = coverage.source
            and standing.span_start = coverage.span_start;
    """)
    connection.execute(_MERGED, {"start": start, "end": end})
    connection.execute("drop table touched; drop table standing;")


def draw_in(connection: duckdb.DuckDBPyConnection) -> None:
    """Takes the first and the last day off every span that proves something: its days were cut in
    another zone, so at its edges some of today's zone may lie beyond what was asked."""
    connection.execute("""
        update raw_gws.coverage
        set span_start = span_start + 1, span_end = span_end - 1
        where state <> 'failed';
        delete from raw_gws.coverage where span_start >= span_end;
    """)


# Spans are cut at every edge that lies inside the window; what reaches beyond it stays in one
# piece. Then the best outcome of each piece is kept, and neighbours that stand alike are joined.
_MERGED = """
    insert into raw_gws.coverage
    with spans as (
        from touched union all by name from standing
    ),
    edges as (
        select distinct least(greatest(edge, $start::date), $end::date) as edge
        from (select span_start as edge from spans union select span_end from spans)
    ),
    cells as (
        select edge as cell_start, lead(edge) over (order by edge) as cell_end from edges
    ),
    inside as (
        select contact_id, source, cell_start as span_start, cell_end as span_end,
            state, is_whole, finished_at
        from spans
        join cells on span_start <= cell_start and span_end >= cell_end
    ),
    beyond as (
        select contact_id, source, span_start, least(span_end, $start::date) as span_end,
            state, is_whole, finished_at
        from spans where span_start < $start::date
        union all
        select contact_id, source, greatest(span_start, $end::date), span_end,
            state, is_whole, finished_at
        from spans where span_end > $end::date
    ),
    best as (
        select contact_id, source, span_start, span_end,
            arg_max(
                {'state': state, 'is_whole': is_whole, 'finished_at': finished_at},
                {'proven': is_whole and state = 'answered', 'whole': is_whole,
                 'at': finished_at, 'state': state}
            ) as said
        from (from inside union all from beyond)
        group by all
    ),
    flagged as (
        select *,
            span_start is distinct from lag(span_end) over neighbours
                or said.state <> lag(said.state) over neighbours
                or said.is_whole <> lag(said.is_whole) over neighbours
                -- what a newer outcome may replace keeps its own moment
                or (said.state in ('gone', 'failed')
                    and said.finished_at <> lag(said.finished_at) over neighbours) as begins
        from best
        window neighbours as (partition by contact_id, source order by span_start)
    ),
    numbered as (
        select *, count(*) filter (where begins) over (
            partition by contact_id, source order by span_start
        ) as island
        from flagged
    )
    select contact_id, source, min(span_start), max(span_end),
        any_value(said.state), any_value(said.is_whole),
        -- what is loaded late is compared with this: where it may replace, rather too early
        case when any_value(said.is_whole and said.state = 'answered') then max(said.finished_at)
            else min(said.finished_at) end
    from numbered
    group by contact_id, source, island
"""
