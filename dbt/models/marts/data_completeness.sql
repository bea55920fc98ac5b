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

-- on these days the contacts that discovery did not find are known to have nothing
discovered_days as (
    select distinct
        runs.source,
        unnest(range(runs.window_start, runs.window_end, interval 1 day))::date as day
    from run_scopes
    inner join runs using (run_id, window_start, window_end)
    where
        run_scopes.contact_source = 'activity'
        and run_scopes.is_whole
        and run_scopes.is_discovery_complete
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
    coverage_by_day.day,
    coverage_by_day.source,
    coverage_by_day.planned as requests_planned,
    coverage_by_day.answered as requests_answered,
    coverage_by_day.unavailable as requests_unavailable,
    coverage_by_day.gone as requests_gone,
    coverage_by_day.failed as requests_failed,
    coalesce(standing_rejects.rejects, 0) as rejects,
    coverage_by_day.failed = 0
    and coverage_by_day.narrowed = 0
    and (
        coverage_by_day.settled_of_listed = listed.contacts
        or discovered_days.day is not null
    ) as is_complete
from coverage_by_day
cross join listed
left join discovered_days
    on
        coverage_by_day.day = discovered_days.day
        and coverage_by_day.source = discovered_days.source
left join standing_rejects
    on
        coverage_by_day.day = standing_rejects.day
        and coverage_by_day.source = standing_rejects.source
order by coverage_by_day.day, coverage_by_day.source
