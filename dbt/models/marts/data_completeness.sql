with coverage_by_day as (
    select * from {{ ref('int_coverage_by_day') }}
),

currently_listed_contacts as (
    select * from {{ ref('int_currently_listed_contacts') }}
),

run_scopes as (
    select * from {{ ref('stg_gws__run_scopes') }}
),

runs as (
    select * from {{ ref('stg_gws__runs') }}
),

rejects as (
    select * from {{ ref('stg_gws__rejects') }}
),

listed as (
    select count(*) as contacts
    from currently_listed_contacts
),

asked_days as (
    select
        runs.source,
        unnest(range(runs.window_start, runs.window_end, interval 1 day))::date as day,
        run_scopes.contact_source = 'activity' as is_activity,
        run_scopes.contact_source = 'activity'
        and run_scopes.is_whole
        and run_scopes.is_discovery_complete as is_discovered
    from run_scopes
    inner join runs using (run_id, window_start, window_end)
),

-- where a whole discovery was made, the contacts that it did not find are known to have nothing;
-- where there was no other run than one without, nobody knows who was not found
days_by_discovery as (
    select
        source,
        day,
        bool_or(is_discovered) as is_discovered,
        bool_and(is_activity) and not bool_or(is_discovered) as is_unlisted
    from asked_days
    group by source, day
),

discovered_days as (
    select source, day
    from days_by_discovery
    where is_discovered
),

unlisted_days as (
    select source, day
    from days_by_discovery
    where is_unlisted
),

-- where discovery found nobody, nobody was asked, and the day is known to be empty all the same
days as (
    select day, source
    from coverage_by_day
    union
    select day, source
    from discovered_days
),

-- a record without a readable start belongs to no day: it counts on its window's first
standing_rejects as (
    select
        window_start as day,
        source,
        count(*) as rejects
    from rejects
    where resolved_at is null
    group by window_start, source
)

select
    days.day,
    days.source,
    coalesce(coverage_by_day.planned, 0) as requests_planned,
    coalesce(coverage_by_day.answered, 0) as requests_answered,
    coalesce(coverage_by_day.unavailable, 0) as requests_unavailable,
    coalesce(coverage_by_day.gone, 0) as requests_gone,
    coalesce(coverage_by_day.failed, 0) as requests_failed,
    coalesce(standing_rejects.rejects, 0) as rejects,
    coalesce(coverage_by_day.failed, 0) = 0
    and coalesce(coverage_by_day.narrowed, 0) = 0
    and (
        discovered_days.day is not null
        or (
            unlisted_days.day is null
            and coverage_by_day.settled_of_listed = listed.contacts
        )
    ) as is_complete
from days
cross join listed
left join coverage_by_day
    on
        days.day = coverage_by_day.day
        and days.source = coverage_by_day.source
left join discovered_days
    on
        days.day = discovered_days.day
        and days.source = discovered_days.source
left join unlisted_days
    on
        days.day = unlisted_days.day
        and days.source = unlisted_days.source
left join standing_rejects
    on
        days.day = standing_rejects.day
        and days.source = standing_rejects.source
order by days.day, days.source
