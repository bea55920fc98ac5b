with interactions as (
    select * from {{ ref('interactions') }}
),

horizons as (
    select unnest([1, 3, 7, 14, 30])::integer as within_days
),

-- one row per day and distance: few, whatever the interactions
distances as (
    select
        day,
        least(days_since_previous, 31) as days_since_previous,
        count(*) as interactions
    from interactions
    where contact_id is not null
    group by all
),

counted as (
    select
        distances.day,
        horizons.within_days,
        sum(distances.interactions)::bigint as interactions,
        coalesce(
            sum(distances.interactions) filter (
                where distances.days_since_previous <= horizons.within_days
            ),
            0
        )::bigint as repeats
    from distances
    cross join horizons
    group by distances.day, horizons.within_days
)

select
    day,
    within_days,
    interactions,
    repeats,
    repeats / interactions as repeat_rate,
    1 - repeats / interactions as first_contact_resolution_proxy
from counted
order by day, within_days
