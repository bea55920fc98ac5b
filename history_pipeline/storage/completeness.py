"""Reads `marts.data_completeness` from the published file, for people."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from history_pipeline.storage import database
from history_pipeline.storage.layout import Layout


class Span(NamedTuple):
    """Neighbouring days of a source that stand alike: complete, unavailable, partial or never
    asked (between days that were)."""

    source: str
    first: date
    last: date
    days: int
    standing: str
    answered: int
    failed: int
    rejects: int


class Day(NamedTuple):
    """How a day of the server stands in a source."""

    source: str
    day: date
    standing: str


def days(layout: Layout) -> list[Day]:
    """Each source's days from the first to the last that was asked, main first."""
    with database.reading(layout.published, layout.scratch, patience=0) as connection:
        rows = connection.execute(_DAYS).fetchall()
    return [Day(*row) for row in rows]


def spans(layout: Layout) -> list[Span]:
    with database.reading(layout.published, layout.scratch, patience=0) as connection:
        rows = connection.execute(_SPANS).fetchall()
    return [Span(*row) for row in rows]


_STANDING = """
    with days as (
        select source, unnest(generate_series(min(day), max(day), interval 1 day))::date as day
        from marts.data_completeness group by source
    ),
    standing as (
        select
            days.source,
            days.day,
            case
                when asked.day is null then 'never asked'
                when not asked.is_complete then 'partial'
                when asked.requests_unavailable > 0 then 'unavailable'
                else 'complete'
            end as standing,
            coalesce(asked.requests_answered, 0) as answered,
            coalesce(asked.requests_failed, 0) as failed,
            coalesce(asked.rejects, 0) as rejects
        from days left join marts.data_completeness as asked using (source, day)
    )
"""

_DAYS = f"{_STANDING} select source, day, standing from standing order by source desc, day"

_SPANS = f"""
    {_STANDING},
    islands as (
        select *,
            day - (row_number() over (partition by source, standing order by day))::integer
                as island
        from standing
    )
    select source, min(day), max(day), count(*), standing,
        min(answered), max(failed), sum(rejects)
    from islands
    group by source, standing, island
    order by source desc, 2
"""
