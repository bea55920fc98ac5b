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

-- a group a contact: groups of contact and channel would be several times as many
contact_interactions as (
    select
        interactions.contact_id,
        min(interactions.started_at) as first_interaction_at,
        max(interactions.started_at) as last_interaction_at,
        count(*) as interactions,
        {%- for media_type in media_types() %}
        count(*) filter (where interactions.media_type = '{{ media_type }}')
            as {{ media_type }}_interactions,
        max(interactions.started_at) filter (where interactions.media_type = '{{ media_type }}')
            as last_{{ media_type }}_at,
        {%- endfor %}
        count(*) filter (where interactions.day > last_day.day - 7) as last_7_days,
        count(*) filter (where interactions.day > last_day.day - 30) as last_30_days,
        count(*) filter (where interactions.day > last_day.day - 90) as last_90_days,
        count(*) filter (where interactions.is_open) as open_interactions,
        min(interactions.first_seen_at) as first_seen_at,
        max(interactions.last_seen_at) as last_seen_at
    from interactions
    cross join last_day
    where interactions.contact_id is not null
    group by interactions.contact_id
),

-- what the server sends besides the channels that have a column: few, as a rule
other_channels as (
    select
        contact_id,
        coalesce(media_type, 'unknown') as media_type,
        count(*) as interactions,
        max(started_at) as last_at
    from interactions
    where
        contact_id is not null
        and coalesce(media_type, 'unknown') not in ('{{ media_types() | join("', '") }}')
    group by contact_id, coalesce(media_type, 'unknown')
),

contact_others as (
    select
        contact_id,
        sum(interactions)::bigint as interactions,
        max(struct_pack(n := interactions, at := last_at, name := media_type)) as preferred
    from other_channels
    group by contact_id
)

select
    coalesce(listed_contacts.contact_id, contact_interactions.contact_id) as contact_id,
    listed_contacts.contact_id is not null as is_listed,
    listed_contacts.attributes,
    contact_interactions.first_interaction_at,
    contact_interactions.last_interaction_at,
    coalesce(contact_interactions.interactions, 0) as interactions,
    {%- for media_type in media_types() %}
    coalesce(contact_interactions.{{ media_type }}_interactions, 0)
        as {{ media_type }}_interactions,
    {%- endfor %}
    coalesce(contact_others.interactions, 0) as other_interactions,
    -- the most frequent, of several the one used last, of several the last by name
    case
        when contact_interactions.interactions > 0
            then greatest(
                {%- for media_type in media_types() %}
                struct_pack(
                    n := contact_interactions.{{ media_type }}_interactions,
                    at := contact_interactions.last_{{ media_type }}_at,
                    name := '{{ media_type }}'
                ),
                {%- endfor %}
                contact_others.preferred
            ).name
    end as preferred_media_type,
    coalesce(contact_interactions.last_7_days, 0) as interactions_last_7_days,
    coalesce(contact_interactions.last_30_days, 0) as interactions_last_30_days,
    coalesce(contact_interactions.last_90_days, 0) as interactions_last_90_days,
    coalesce(contact_interactions.open_interactions, 0) as open_interactions,
    coalesce(listed_contacts.first_seen_at, contact_interactions.first_seen_at) as first_seen_at,
    coalesce(listed_contacts.last_seen_at, contact_interactions.last_seen_at) as last_seen_at
from listed_contacts
full outer join contact_interactions
    on listed_contacts.contact_id = contact_interactions.contact_id
left join contact_others on contact_interactions.contact_id = contact_others.contact_id
