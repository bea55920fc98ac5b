with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
)

select
    contact_id,
    coalesce(media_type, 'unknown') as media_type,
    count(*) as interactions,
    max(started_at) as last_interaction_at
from interactions
where contact_id is not null
group by all
