-- interactions are read once, into channels of contacts; these are few
with contact_channels as (
    select * from {{ ref('int_contact_channels') }}
)

select
    contact_id,
    min(first_interaction_at) as first_interaction_at,
    max(last_interaction_at) as last_interaction_at,
    sum(interactions)::bigint as interactions,
    {%- for media_type in media_types() %}
    coalesce(sum(interactions) filter (where media_type = '{{ media_type }}'), 0)::bigint
        as {{ media_type }}_interactions,
    {%- endfor %}
    coalesce(
        sum(interactions) filter (where media_type not in ('{{ media_types() | join("', '") }}')),
        0
    )::bigint as other_interactions,
    arg_max(media_type, (interactions, last_interaction_at, media_type)) as preferred_media_type,
    sum(open_interactions)::bigint as open_interactions,
    min(first_seen_at) as first_seen_at,
    max(last_seen_at) as last_seen_at
from contact_channels
group by contact_id
