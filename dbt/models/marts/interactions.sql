{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='interaction_id',
    on_schema_change='fail',
    pre_hook=["{{ put_in_sequence_anew() }}", "{{ note_those_only_seen_again() }}"]
) }}

with staged as (
    select * from {{ ref('stg_gws__interactions') }}
),

{% if is_incremental() -%}
changed as (
    select interaction_id from {{ source('raw_gws', 'changed_interactions') }}
    anti join only_seen_again using (interaction_id)
),

interactions as (
    select staged.*
    from staged
    semi join changed on staged.interaction_id = changed.interaction_id
    where {{ on_changed_days('staged.day') }}
),

-- of contacts that are not in motion, places are those that are known
places as (
    select * from places_in_motion
    union all by name
    select
        known.interaction_id,
        known.contact_sequence,
        known.seconds_since_previous,
        known.days_since_previous,
        known.days_until_next,
        known.previous_media_type
    from {{ this }} as known
    semi join changed on known.interaction_id = changed.interaction_id
    anti join places_in_motion on known.interaction_id = places_in_motion.interaction_id
),
{%- else -%}
interactions as (
    select * from staged
),

starts as (
    select
        interaction_id,
        contact_id,
        media_type,
        started_at,
        {{ local_day('started_at') }} as day
    from staged
),

-- a window over few columns, joined to the many, takes a fraction of the memory
places as (
    {{ in_sequence('starts') }}
),
{%- endif %}

attribute_counts as (
    select
        interaction_id,
        count(*) as attribute_count
    from {{ ref('stg_gws__interaction_attributes') }}
    {%- if is_incremental() %}
    where interaction_id in (select interaction_id from changed)
    {%- endif %}
    group by interaction_id
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
    {{ local_time('interactions.started_at') }} as started_at_local,
    {{ local_time('interactions.ended_at') }} as ended_at_local,
    {{ local_day('interactions.started_at') }} as day,
    interactions.day as server_day,
    interactions.ended_at is null as is_open,
    (epoch_us(interactions.ended_at) - epoch_us(interactions.started_at)) / 1e6 as duration_seconds,
    places.contact_sequence,
    places.seconds_since_previous,
    places.days_since_previous,
    places.days_until_next,
    places.previous_media_type,
    coalesce(places.days_since_previous <= 7, false) as is_repeat_7d,
    interactions.owner_id,
    interactions.owner_user_name,
    interactions.owner_first_name,
    interactions.owner_last_name,
    interactions.source,
    interactions.is_seen_in_main,
    interactions.is_seen_in_archive,
    coalesce(attribute_counts.attribute_count, 0) as attribute_count,
    interactions.first_seen_at,
    interactions.last_seen_at
from interactions
left join places
    on
        interactions.interaction_id = places.interaction_id
        and interactions.contact_id is not null
left join attribute_counts on interactions.interaction_id = attribute_counts.interaction_id
