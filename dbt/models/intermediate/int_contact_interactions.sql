with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
)

select
    contact_id,
    min(started_at) as first_interaction_at,
    max(started_at) as last_interaction_at,
    count(*) as interactions,
    {%- for media_type in media_types() %}
    count(*) filter (where media_type = '{{ media_type }}') as {{ media_type }}_interactions,
    {%- endfor %}
    count(*) filter (
        where media_type is null or media_type not in ('{{ media_types() | join("', '") }}')
    ) as other_interactions,
    count(*) filter (where ended_at is null) as open_interactions,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from interactions
where contact_id is not null
group by contact_id
