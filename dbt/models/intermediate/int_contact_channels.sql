with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
)

select
    contact_id,
    coalesce(media_type, 'unknown') as media_type,
    count(*) as interactions,
    count(*) filter (where ended_at is null) as open_interactions,
    min(started_at) as first_interaction_at,
    max(started_at) as last_interaction_at,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from interactions
where contact_id is not null
group by all
