with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
),

attribute_counts as (
    select * from {{ ref('int_interaction_attribute_counts') }}
)

select
    interactions.interaction_id,
    interactions.contact_id,
    interactions.requested_contact_id,
    interactions.media_type,
    interactions.type_id,
    interactions.state,
    interactions.subject,
    interactions.uri,
    interactions.started_at,
    interactions.ended_at,
    interactions.ended_at is null as is_open,
    (epoch_us(interactions.ended_at) - epoch_us(interactions.started_at)) / 1e6 as duration_seconds,
    interactions.owner_id,
    interactions.owner_user_name,
    interactions.owner_first_name,
    interactions.owner_last_name,
    interactions.source,
    interactions.is_seen_in_main,
    interactions.is_seen_in_archive,
    interactions.day,
    coalesce(attribute_counts.attribute_count, 0) as attribute_count,
    interactions.first_seen_at,
    interactions.last_seen_at
from interactions
left join attribute_counts using (interaction_id)
