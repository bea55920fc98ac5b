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

known as (
    select * from {{ this }}
),

-- most of what is asked again has only been seen again. Contacts are put into sequence anew where
-- one of their interactions is new or stands elsewhere, the one that it has left included
moved as (
    select
        staged.contact_id,
        known.contact_id as previous_contact_id
    from staged
    semi join changed on staged.interaction_id = changed.interaction_id
    left join known on staged.interaction_id = known.interaction_id
    where
        known.interaction_id is null
        or staged.contact_id is distinct from known.contact_id
        or staged.started_at <> known.started_at
        or staged.media_type is distinct from known.media_type
),

contacts_in_motion as (
    select contact_id from moved where contact_id is not null
    union
    select previous_contact_id from moved where previous_contact_id is not null
),
{%- endif %}

-- a window over few columns, joined to the many, takes a fraction of the memory
starts as (
    select
        interaction_id,
        contact_id,
        media_type,
        started_at,
        {{ local_day('started_at') }} as day
    from staged
    where
        contact_id is not null
        {%- if is_incremental() %}
        and contact_id in (select contact_id from contacts_in_motion)
        {%- endif %}
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
),

{% if is_incremental() -%}
-- who has a new neighbour is written anew, and who has changed; the latter's place in a contact
-- that is not in motion is the one that is known
due as (
    select sequenced.interaction_id
    from sequenced
    left join known on sequenced.interaction_id = known.interaction_id
    where
        (
            sequenced.contact_sequence,
            sequenced.seconds_since_previous,
            sequenced.days_since_previous,
            sequenced.days_until_next,
            sequenced.previous_media_type
        ) is distinct from (
            known.contact_sequence,
            known.seconds_since_previous,
            known.days_since_previous,
            known.days_until_next,
            known.previous_media_type
        )
    union
    select interaction_id from changed
),

interactions as (
    select staged.*
    from staged
    semi join due on staged.interaction_id = due.interaction_id
),

places as (
    select * from sequenced
    union all by name
    select
        known.interaction_id,
        known.contact_sequence,
        known.seconds_since_previous,
        known.days_since_previous,
        known.days_until_next,
        known.previous_media_type
    from known
    semi join changed on known.interaction_id = changed.interaction_id
    anti join sequenced on known.interaction_id = sequenced.interaction_id
    where known.contact_id not in (select contact_id from contacts_in_motion)
),
{%- else -%}
interactions as (
    select * from staged
),

places as (
    select * from sequenced
),
{%- endif %}

attribute_counts as (
    select
        interaction_id,
        count(*) as attribute_count
    from {{ ref('stg_gws__interaction_attributes') }}
    {%- if is_incremental() %}
    where interaction_id in (select interaction_id from due)
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
left join places on interactions.interaction_id = places.interaction_id
left join attribute_counts on interactions.interaction_id = attribute_counts.interaction_id
