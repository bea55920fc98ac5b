-- Interactions that start and end on the same days are counted once, and only those that a day's
-- end finds open are spread over days: work grows with days, never with interactions.
with interactions as (
    select * from {{ ref('interactions') }}
),

days as (
    select day from {{ ref('days') }}
),

lasting as (
    select
        day as started_day,
        ended_at_local::date as ended_day,
        count(*) as interactions
    from interactions
    where
        ended_at_local is null
        or ended_at_local::date > day
    group by started_day, ended_day
),

open_by_age as (
    select
        days.day,
        days.day - lasting.started_day as age_days,
        sum(lasting.interactions) as interactions
    from days
    inner join lasting
        on
            days.day >= lasting.started_day
            and days.day < coalesce(lasting.ended_day, 'infinity'::date)
    group by days.day, age_days
),

cumulated as (
    select
        day,
        age_days,
        sum(interactions) over (partition by day order by age_days) as up_to_this_age,
        sum(interactions) over (partition by day) as open_at_day_end
    from open_by_age
),

aged as (
    select
        day,
        any_value(open_at_day_end) as open_at_day_end,
        min(age_days) filter (where up_to_this_age >= 0.5 * open_at_day_end) as median_age_days,
        min(age_days) filter (where up_to_this_age >= 0.9 * open_at_day_end) as p90_age_days
    from cumulated
    group by day
)

select
    days.day,
    coalesce(aged.open_at_day_end, 0)::bigint as open_at_day_end,
    aged.median_age_days,
    aged.p90_age_days
from days
left join aged on days.day = aged.day
order by days.day
