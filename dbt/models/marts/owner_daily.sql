with interactions as (
    select * from {{ ref('interactions') }}
),

days as (
    select * from {{ ref('days') }}
),

-- how many of the seven days after it are complete
complete_days as (
    select
        days.day,
        count(*) filter (where later.is_complete) as days_after
    from days
    inner join days as later on later.day > days.day and later.day <= days.day + 7
    group by days.day
),

owned as (
    select
        owner_id,
        owner_user_name,
        day,
        contact_id,
        started_at,
        days_until_next,
        case when duration_seconds >= 0 then duration_seconds end as duration_seconds
    from interactions
    where owner_id is not null
),

counted as (
    select
        owner_id,
        day,
        arg_max(owner_user_name, started_at) as owner_user_name,
        count(*) as handled,
        count(duration_seconds) as ended,
        -- the server's times are in milliseconds; a sum of floats has more digits, which depend
        -- on the order of the rows
        round(coalesce(sum(duration_seconds), 0), 3) as total_duration_seconds,
        quantile_cont(duration_seconds, [0.5, 0.9]) as durations,
        count(contact_id) as with_contact,
        count(*) filter (where days_until_next <= 7) as followed_by_repeat
    from owned
    group by owner_id, day
)

select
    counted.owner_id,
    counted.day,
    counted.owner_user_name,
    counted.handled,
    counted.ended,
    counted.total_duration_seconds,
    counted.durations[1] as median_duration_seconds,
    counted.durations[2] as p90_duration_seconds,
    counted.with_contact,
    counted.followed_by_repeat,
    counted.followed_by_repeat / nullif(counted.with_contact, 0) as repeat_share,
    coalesce(complete_days.days_after = 7, false) as is_final
from counted
left join complete_days on counted.day = complete_days.day
order by counted.day, counted.owner_id
