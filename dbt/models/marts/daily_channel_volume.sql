with interactions as (
    select * from {{ ref('interactions') }}
),

channels as (
    select
        day,
        coalesce(media_type, 'unknown') as media_type,
        coalesce(type_id, 'unknown') as type_id,
        contact_id
    from interactions
)

select
    day,
    media_type,
    type_id,
    count(*) as interactions,
    count(distinct contact_id) as contacts
from channels
group by day, media_type, type_id
order by day, media_type, type_id
