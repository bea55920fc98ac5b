with interactions as (
    select * from {{ ref('interactions') }}
),

channels as (
    select
        day,
        coalesce(media_type, 'unknown') as media_type,
        coalesce(type_id, 'unknown') as type_id,
        contact_id,
        contact_id is not null
        and coalesce(days_since_previous <> 0, true)
        and coalesce(days_until_next <> 0, true) as is_contacts_only_one,
        case when duration_seconds >= 0 then duration_seconds end as duration_seconds
    from interactions
),

counted as (
    select
        day,
        media_type,
        type_id,
        count(*) as interactions,
        -- most contacts have one interaction on a day: distinct ones are sought among the others,
        -- by a case, for with a filter all would be gone through. That those of a day follow each
        -- other holds where local days do not run backwards, as they last did in 2010, in Newfoundland
        count(*) filter (where is_contacts_only_one)
        + count(distinct case when not is_contacts_only_one then contact_id end) as contacts,
        quantile_cont(duration_seconds, [0.5, 0.9]) as durations
    from channels
    group by day, media_type, type_id
)

select
    day,
    media_type,
    type_id,
    interactions,
    contacts,
    durations[1] as median_duration_seconds,
    durations[2] as p90_duration_seconds
from counted
order by day, media_type, type_id
