"""What the report shows, read from the published file: counts by day, hour, channel and run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from history_pipeline.storage import completeness, database
from history_pipeline.storage.completeness import Day
from history_pipeline.storage.layout import Layout

Row = dict[str, Any]

_DAYS_BY_DAY, _DAYS_BY_WEEK = 130, 900
"""Up to so many days are drawn each by itself, or by the week; more by the month."""

_RUNS = 200


@dataclass(slots=True)
class Facts:
    """Lists of rows; a list is empty where there is nothing to tell.

    `grain` is day, week or month: what `volume` and `repeats` are counted by, a period being told
    by its first day. `failures` are those of the last of `runs`. `totals` counts everything; its
    days are None where nothing was asked.
    """

    grain: str = "day"
    totals: Row = field(default_factory=dict)
    volume: list[Row] = field(default_factory=list)
    backlog: list[Row] = field(default_factory=list)
    repeats: list[Row] = field(default_factory=list)
    hours: list[Row] = field(default_factory=list)
    calendar: list[Day] = field(default_factory=list)
    runs: list[Row] = field(default_factory=list)
    failures: list[Row] = field(default_factory=list)
    rejects: list[Row] = field(default_factory=list)
    attributes: list[Row] = field(default_factory=list)

    @property
    def first_day(self) -> date | None:
        return self.totals.get("first_day")

    @property
    def last_day(self) -> date | None:
        return self.totals.get("last_day")


def read(layout: Layout) -> Facts:
    """Raises StorageError where nothing is published, or not by this version."""
    with database.reading(layout.published, layout.scratch) as connection:
        (totals,) = database.rows(connection, _TOTALS)
        days = (totals["last_day"] - totals["first_day"]).days + 1 if totals["first_day"] else 0
        grain = "day" if days <= _DAYS_BY_DAY else "week" if days <= _DAYS_BY_WEEK else "month"
        return Facts(
            grain=grain,
            totals=totals,
            volume=database.rows(connection, _VOLUME.format(grain=grain)),
            backlog=database.rows(connection, _BACKLOG.format(grain=grain)),
            repeats=database.rows(connection, _REPEATS.format(grain=grain)),
            hours=database.rows(connection, _HOURS),
            calendar=completeness.days(layout),
            runs=database.rows(connection, _RUNS_QUERY)[::-1],
            failures=database.rows(connection, _FAILURES),
            rejects=database.rows(connection, _REJECTS),
            attributes=database.rows(connection, _ATTRIBUTES),
        )


_TOTALS = """
    select
        (select min(day) from marts.days) as first_day,
        (select max(day) from marts.days) as last_day,
        (select count(*) from marts.interactions) as interactions,
        (select count(*) filter (where is_open) from marts.interactions) as open_interactions,
        (select count(*) from marts.contacts) as contacts,
        (select count(*) filter (where interactions > 0) from marts.contacts) as active_contacts,
        (select count(*) from marts.data_completeness) as day_sources,
        (select count(*) filter (where is_complete) from marts.data_completeness)
            as complete_day_sources,
        (select any_value(time_zone) from marts.days) as time_zone
"""

_VOLUME = """
    select
        date_trunc('{grain}', day)::date as period,
        media_type,
        sum(interactions)::bigint as interactions
    from marts.daily_channel_volume
    group by period, media_type
    order by period, media_type
"""

# of a week or a month, its last day stands for it
_BACKLOG = """
    select
        max(day) as day,
        arg_max(open_at_day_end, day) as open_at_day_end,
        arg_max(median_age_days, day) as median_age_days,
        arg_max(p90_age_days, day) as p90_age_days
    from marts.backlog_daily
    group by date_trunc('{grain}', day)
    order by day
"""

_REPEATS = """
    select
        date_trunc('{grain}', day)::date as period,
        within_days,
        sum(interactions)::bigint as interactions,
        sum(repeats)::bigint as repeats,
        sum(repeats) / sum(interactions) as repeat_rate
    from marts.repeat_contacts
    where within_days in (1, 7, 30)
    group by period, within_days
    order by period, within_days
"""

_HOURS = """
    select
        iso_weekday,
        hour_of_day,
        sum(interactions)::bigint as interactions,
        any_value(hours_observed) as hours_observed,
        sum(average_per_week) as average_per_week
    from marts.hourly_volume
    group by iso_weekday, hour_of_day
    order by iso_weekday, hour_of_day
"""

_RUNS_QUERY = f"""
    with latencies as (
        select
            run_id,
            window_start,
            quantile_cont(seconds, 0.5) as p50_seconds,
            quantile_cont(seconds, 0.99) as p99_seconds,
            -- from when its first request was sent: a run of many windows is loaded in between
            count(*) / nullif(
                epoch(max(finished_at)) - min(epoch(finished_at) - seconds), 0
            ) as requests_per_second
        from raw_gws.requests
        group by run_id, window_start
    )
    select
        runs.run_id,
        runs.window_start,
        runs.window_end - 1 as window_last,
        max(runs.finished_at) as finished_at,
        sum(planned)::bigint as planned,
        sum(answered)::bigint as answered,
        sum(unavailable)::bigint as unavailable,
        sum(gone)::bigint as gone,
        sum(failed)::bigint as failed,
        any_value(requests_per_second) as requests_per_second,
        any_value(p50_seconds) as p50_seconds,
        any_value(p99_seconds) as p99_seconds
    from raw_gws.runs as runs
    left join latencies
        on runs.run_id = latencies.run_id and runs.window_start = latencies.window_start
    group by runs.run_id, runs.window_start, runs.window_end
    order by finished_at desc, runs.window_start desc
    limit {_RUNS}
"""

_FAILURES = """
    select source, coalesce(error, 'unknown') as reason, count(*) as requests
    from raw_gws.requests
    where
        state = 'failed'
        and (run_id, window_start) = (
            select (run_id, window_start) from raw_gws.runs
            order by finished_at desc, window_start desc limit 1
        )
    group by source, reason
    order by requests desc, source, reason
"""

_REJECTS = """
    select
        reason,
        count(*) filter (where resolved_at is null) as standing,
        count(*) filter (where resolved_at is not null) as resolved
    from raw_gws.rejects
    group by reason
    order by standing desc, reason
"""

_ATTRIBUTES = """
    select name, column_name, is_configured, interactions
    from marts.attribute_names
    order by interactions desc, name
"""
