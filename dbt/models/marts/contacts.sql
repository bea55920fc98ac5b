with listed_contacts as (
    select * from {{ ref('stg_gws__contacts') }}
),

contact_interactions as (
    select * from {{ ref('int_contact_interactions') }}
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

recent as (
    select
        interactions.contact_id,
        count(*) filter (where interactions.day > last_day.day - 7) as last_7_days,
        count(*) filter (where interactions.day > last_day.day - 30) as last_30_days,
        count(*) as last_90_days
    from interactions
    cross join last_day
    where
        interactions.contact_id is not null
        and interactions.day > last_day.day - 90
    group by interactions.contact_id
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
    coalesce(recent.last_7_days, 0) as interactions_last_7_days,
    coalesce(recent.last_30_days, 0) as interactions_last_30_days,
    coalesce(recent.last_90_days, 0) as interactions_last_90_days,
    coalesce(contact_interactions.open_interactions, 0) as open_interactions,
    coalesce(listed_contacts.first_seen_at, contact_interactions.first_seen_at) as first_seen_at,
    coalesce(listed_contacts.last_seen_at, contact_interactions.last_seen_at) as last_seen_at
from listed_contacts
full outer join contact_interactions
    on listed_contacts.contact_id = contact_interactions.contact_id
left join recent on contact_interactions.contact_id = recent.contact_id
