with listed_contacts as (
    select * from {{ ref('stg_gws__contacts') }}
),

recent_days as (
    select * from {{ ref('days') }}
),

interactions as (
    select * from {{ ref('interactions') }}
),

last_day as (
    select max(day) filter (where is_asked_whole) as day from recent_days
),

-- interactions are read once, into channels of contacts; these are few
contact_channels as (
    select
        interactions.contact_id,
        coalesce(interactions.media_type, 'unknown') as media_type,
        count(*) as interactions,
        count(*) filter (where interactions.day > last_day.day - 7) as last_7_days,
        count(*) filter (where interactions.day > last_day.day - 30) as last_30_days,
        count(*) filter (where interactions.day > last_day.day - 90) as last_90_days,
        count(*) filter (where interactions.is_open) as open_interactions,
        min(interactions.started_at) as first_interaction_at,
        max(interactions.started_at) as last_interaction_at,
        min(interactions.first_seen_at) as first_seen_at,
        max(interactions.last_seen_at) as last_seen_at
    from interactions
    cross join last_day
    where interactions.contact_id is not null
    group by interactions.contact_id, coalesce(interactions.media_type, 'unknown')
),

contact_interactions as (
    select
        contact_id,
        min(first_interaction_at) as first_interaction_at,
        max(last_interaction_at) as last_interaction_at,
        sum(interactions)::bigint as interactions,
        {%- for media_type in media_types() %}
        (sum(interactions) filter (where media_type = '{{ media_type }}'))::bigint
            as {{ media_type }}_interactions,
        {%- endfor %}
        (
            sum(interactions)
                filter (where media_type not in ('{{ media_types() | join("', '") }}'))
        )::bigint as other_interactions,
        arg_max(media_type, (interactions, last_interaction_at, media_type))
            as preferred_media_type,
        sum(last_7_days)::bigint as last_7_days,
        sum(last_30_days)::bigint as last_30_days,
        sum(last_90_days)::bigint as last_90_days,
        sum(open_interactions)::bigint as open_interactions,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from contact_channels
    group by contact_id
)

select
    coalesce(listed_contacts.contact_id, contact_interactions.contact_id) as contact_id,
    listed_contacts.contact_id is not null as is_listed,
    listed_contacts.attributes,
    contact_interactions.first_interaction_at,
    contact_interactions.last_interaction_at,
    coalesce(contact_interactions.interactions, 0) as interactions,
    {%- for media_type in media_types() + ['other'] %}
    coalesce(contact_interactions.{{ media_type }}_interactions, 0)
        as {{ media_type }}_interactions,
    {%- endfor %}
    contact_interactions.preferred_media_type,
    coalesce(contact_interactions.last_7_days, 0) as interactions_last_7_days,
    coalesce(contact_interactions.last_30_days, 0) as interactions_last_30_days,
    coalesce(contact_interactions.last_90_days, 0) as interactions_last_90_days,
    coalesce(contact_interactions.open_interactions, 0) as open_interactions,
    coalesce(listed_contacts.first_seen_at, contact_interactions.first_seen_at) as first_seen_at,
    coalesce(listed_contacts.last_seen_at, contact_interactions.last_seen_at) as last_seen_at
from listed_contacts
full outer join contact_interactions
    on listed_contacts.contact_id = contact_interactions.contact_id
