"""What is looked at after each load: duplicates, rejects, missing days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from history_pipeline.storage import database
from history_pipeline.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class Facts:
    """`first_missing` is the first day since the first one asked that is not complete: somebody
    who is listed was not asked, or not answered, or by a narrowed run only."""

    duplicate_ids: int
    rejects: dict[str, int]
    first_missing: date | None
    yesterday: date

    @property
    def advice(self) -> str:
        if self.first_missing is None:
            return "nothing is missing"
        return (
            f"history-pipeline backfill --from {self.first_missing.isoformat()} "
            f"--to {self.yesterday.isoformat()} --only-failed"
        )


def inspect(layout: Layout, zone: ZoneInfo, now: datetime) -> Facts:
    """Reads the warehouse; needs no lock beyond DuckDB's own."""
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    with database.writing(layout.warehouse, layout.scratch) as connection:
        duplicates = connection.execute(
            "select count(*) - count(distinct interaction_id) from raw_gws.interactions"
        ).fetchone()
        rejects = dict(
            connection.execute(
                "select reason, count(*) from raw_gws.rejects where resolved_at is null "
                "group by reason order by reason"
            ).fetchall()
        )
        missing = first_incomplete(connection, yesterday)
    return Facts(
        int(duplicates[0]) if duplicates else 0,
        rejects,
        missing,
        yesterday,
    )


def first_incomplete_day(layout: Layout, zone: ZoneInfo, now: datetime) -> date | None:
    """The first day, of those asked and after, that is not complete; None where nothing was ever
    loaded. Reads the published file, which nobody writes to."""
    if not layout.published.exists():
        return None
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    with database.reading(layout.published, layout.scratch, patience=0) as connection:
        return first_incomplete(connection, yesterday)


def first_incomplete(connection: duckdb.DuckDBPyConnection, yesterday: date) -> date | None:
    """The first day since the first one asked that is not complete in one of its sources."""
    row = connection.execute(_FIRST_INCOMPLETE, {"yesterday": yesterday}).fetchone()
    return row[0] if row else None


# What marts.data_completeness calls complete, told before that is built: nothing failed, nothing
# stands narrowed, and everybody listed is settled, or a whole discovery vouches for the others;
# where only `activity` was asked, without one, nobody knows who was not found.
_FIRST_INCOMPLETE = """
    with listed as (
        select contact_id from raw_gws.contacts
        where last_seen_at = (select max(last_seen_at) from raw_gws.contacts)
    ),
    spans as (
        select source, span_start, span_end,
            (state = 'failed' or not is_whole)::int as bad,
            (state <> 'failed' and listed.contact_id is not null)::int as settled
        from raw_gws.coverage left join listed using (contact_id)
    ),
    edges as (
        select source, span_start as day, 1 as planned, bad, settled from spans
        union all
        select source, span_end, -1, -bad, -settled from spans
    ),
    steps as (
        select source, day, sum(planned) as planned, sum(bad) as bad, sum(settled) as settled
        from edges group by all
    ),
    levels as (
        select source, day,
            sum(planned) over reached as planned,
            sum(bad) over reached as bad,
            sum(settled) over reached as settled
        from steps
        window reached as (partition by source order by day)
    ),
    asked as (
        select source,
            unnest(generate_series(window_start, window_end - 1, interval 1 day))::date as day,
            contact_source = 'activity' as is_activity,
            contact_source = 'activity' and is_whole and is_discovery_complete as is_discovered
        from raw_gws.run_scopes join raw_gws.runs using (run_id, window_start, window_end)
    ),
    by_discovery as (
        select source, day, bool_or(is_discovered) as is_discovered,
            bool_and(is_activity) as is_activity
        from asked group by all
    ),
    spine as (
        select source, unnest(generate_series(min(day), $yesterday::date, interval 1 day))::date
            as day
        from (select source, day from levels union all
            select source, day from by_discovery where is_discovered)
        group by source
    )
    select min(spine.day)
    from spine
    asof left join levels on spine.source = levels.source and spine.day >= levels.day
    left join by_discovery
        on spine.source = by_discovery.source and spine.day = by_discovery.day
    where coalesce(levels.bad, 0) > 0
        or not coalesce(is_discovered, false) and (
            coalesce(levels.planned, 0) = 0
            or coalesce(is_activity, false)
            or levels.settled < (select count(*) from listed)
        )
"""
