"""What is looked at after each load: duplicates, rejects, missing days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from history_pipeline.storage import database
from history_pipeline.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class Facts:
    """`first_missing` is the first day since the first one asked that is not complete."""

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
            f"--to {self.yesterday.isoformat()}"
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
        missing = connection.execute(_FIRST_INCOMPLETE, {"yesterday": yesterday}).fetchone()
    return Facts(
        int(duplicates[0]) if duplicates else 0,
        rejects,
        missing[0] if missing else None,
        yesterday,
    )


def first_incomplete_day(layout: Layout, zone: ZoneInfo, now: datetime) -> date | None:
    """The first day, of those asked and after, that is not complete; None where nothing was ever
    loaded. Reads the published file, which nobody writes to."""
    if not layout.published.exists():
        return None
    yesterday = now.astimezone(zone).date() - timedelta(days=1)
    with database.reading(layout.published, layout.scratch, patience=0) as connection:
        row = connection.execute(_FIRST_INCOMPLETE, {"yesterday": yesterday}).fetchone()
        return row[0] if row else None


# A day is incomplete for a source when nobody was answered for it, or somebody's request failed.
_FIRST_INCOMPLETE = """
    with edges as (
        select source, span_start as day,
            (is_whole and state <> 'failed')::int as good, (state = 'failed')::int as bad
        from raw_gws.coverage
        union all
        select source, span_end, -(is_whole and state <> 'failed')::int, -(state = 'failed')::int
        from raw_gws.coverage
    ),
    steps as (
        select source, day, sum(good) as good, sum(bad) as bad from edges group by all
    ),
    levels as (
        select source, day,
            sum(good) over reached as good,
            sum(bad) over reached as bad
        from steps
        window reached as (partition by source order by day)
    ),
    spine as (
        select source, unnest(generate_series(min(day), $yesterday::date, interval 1 day))::date
            as day
        from levels group by source
    )
    select min(spine.day)
    from spine asof left join levels
        on spine.source = levels.source and spine.day >= levels.day
    where coalesce(levels.good, 0) = 0 or coalesce(levels.bad, 0) > 0
"""
