with interactions as (
    select * from {{ ref('interactions') }}
)

select
    coalesce(previous_media_type, 'unknown') as from_media_type,
    coalesce(media_type, 'unknown') as to_media_type,
    count(*) as transitions,
    median(seconds_since_previous) as median_seconds_between
from interactions
where contact_sequence > 1
group by from_media_type, to_media_type
order by from_media_type, to_media_type
