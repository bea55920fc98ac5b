{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='interaction_id',
    on_schema_change='fail'
) }}

with staged as (
    select * from {{ ref('stg_gws__interactions') }}
),

{% if is_incremental() -%}
changed as (
    select interaction_id from {{ source('raw_gws', 'changed_interactions') }}
),

-- what a row says of its contact's others may change with each of these: contacts are done as a
-- whole, the one that a changed interaction has left included
contacts_of_changed as (
    select contact_id
    from staged
    where
        contact_id is not null
        and interaction_id in (select interaction_id from changed)
    union
    select contact_id
    from {{ this }}
    where
        contact_id is not null
        and interaction_id in (select interaction_id from changed)
),

interactions as (
    select * from staged
    where
        interaction_id in (select interaction_id from changed)
        or contact_id in (select contact_id from contacts_of_changed)
),

attributes as (
    select attributes.interaction_id
    from {{ ref('stg_gws__interaction_attributes') }} as attributes
    semi join interactions on attributes.interaction_id = interactions.interaction_id
),
{%- else -%}
interactions as (
    select * from staged
),

attributes as (
    select interaction_id from {{ ref('stg_gws__interaction_attributes') }}
),
{%- endif %}

attribute_counts as (
    select
        interaction_id,
        count(*) as attribute_count
    from attributes
    group by interaction_id
),

-- a window over few columns, joined to the many, takes a fraction of the memory
starts as (
    select
        interaction_id,
        contact_id,
        media_type,
        started_at,
        {{ local_day('started_at') }} as day
    from interactions
    where contact_id is not null
),

sequenced as (
    select
        interaction_id,
        row_number() over by_contact as contact_sequence,
        (epoch_us(started_at) - epoch_us(lag(started_at) over by_contact)) / 1e6
            as seconds_since_previous,
        day - lag(day) over by_contact as days_since_previous,
        lead(day) over by_contact - day as days_until_next,
        lag(media_type) over by_contact as previous_media_type
    from starts
    window by_contact as (partition by contact_id order by started_at, interaction_id)
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
    sequenced.contact_sequence,
    sequenced.seconds_since_previous,
    sequenced.days_since_previous,
    sequenced.days_until_next,
    sequenced.previous_media_type,
    coalesce(sequenced.days_since_previous <= 7, false) as is_repeat_7d,
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
left join sequenced on interactions.interaction_id = sequenced.interaction_id
left join attribute_counts on interactions.interaction_id = attribute_counts.interaction_id
