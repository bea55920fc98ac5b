with data_completeness as (
    select * from {{ ref('data_completeness') }}
),

server_days as (
    select
        day as server_day,
        count(*) filter (
            where is_complete and source in ('{{ configured_sources() | join("', '") }}')
        ) = {{ configured_sources() | length }} as is_complete
    from data_completeness
    group by day
),

instants as (
    select
        server_day,
        is_complete,
        {{ server_day_start('server_day') }} as starts_at,
        {{ server_day_start('server_day + 1') }} - interval 1 microsecond as last_at
    from server_days
),

-- in another zone than the server's, one of its days falls on two
touched as (
    select
        server_day,
        is_complete,
        unnest(
            range({{ local_day('starts_at') }}, {{ local_day('last_at') }} + 1, interval 1 day)
        )::date as day
    from instants
),

days as (
    select
        day,
        count(*) as server_days,
        bool_and(is_complete) as is_complete
    from touched
    group by day
),

bounds as (
    select
        day,
        server_days,
        is_complete,
        {{ local_day(day_start('day', business_timezone()), server_timezone()) }}
            as first_server_day,
        {{ local_day(
            day_start('day + 1', business_timezone()) ~ ' - interval 1 microsecond',
            server_timezone()
        ) }} as last_server_day
    from days
)

select
    day,
    '{{ business_timezone() }}' as time_zone,
    first_server_day,
    last_server_day,
    server_days = last_server_day - first_server_day + 1 as is_asked_whole,
    is_complete and server_days = last_server_day - first_server_day + 1 as is_complete
from bounds
order by day
