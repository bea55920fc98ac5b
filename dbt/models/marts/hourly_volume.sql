-- Time is counted in quarters of an hour as they elapse, so an hour that the clocks skip is not
-- there to be divided by, and one that they repeat is there twice.
with interactions as (
    select * from {{ ref('interactions') }}
),

data_completeness as (
    select * from {{ ref('data_completeness') }}
),

asked_days as (
    select distinct day
    from data_completeness
),

quarters as (
    select
        unnest(
            range(
                epoch_us({{ server_day_start('day') }}),
                epoch_us({{ server_day_start('day + 1') }}),
                900000000
            )
        ) as starts_at_us
    from asked_days
),

local_quarters as (
    select {{ local_time('make_timestamptz(starts_at_us)') }} as local_time
    from quarters
),

hours_observed as (
    select
        (isodow(local_time) - 1) * 24 + hour(local_time) as hour_of_week,
        count(*) / 4 as hours_observed
    from local_quarters
    group by hour_of_week
),

volume as (
    select
        (isodow(started_at_local) - 1) * 24 + hour(started_at_local) as hour_of_week,
        coalesce(media_type, 'unknown') as media_type,
        count(*) as interactions
    from interactions
    group by all
),

-- hours without anything count too, or averages over several hours would be too high
slots as (
    select
        hours_observed.hour_of_week,
        media_types.media_type
    from hours_observed
    cross join (select distinct media_type from volume) as media_types
    union
    select
        hour_of_week,
        media_type
    from volume
)

select
    slots.hour_of_week,
    slots.hour_of_week // 24 + 1 as iso_weekday,
    slots.hour_of_week % 24 as hour_of_day,
    slots.media_type,
    coalesce(volume.interactions, 0) as interactions,
    coalesce(hours_observed.hours_observed, 0) as hours_observed,
    coalesce(volume.interactions, 0) / hours_observed.hours_observed as average_per_week
from slots
left join volume
    on
        slots.hour_of_week = volume.hour_of_week
        and slots.media_type = volume.media_type
left join hours_observed on slots.hour_of_week = hours_observed.hour_of_week
order by slots.hour_of_week, slots.media_type
