{{ config(materialized='view') }}

with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
),

versions as (
    select * from {{ ref('stg_gws__interaction_versions') }}
),

states as (
    select
        interaction_id,
        contact_id,
        requested_contact_id,
        media_type,
        type_id,
        state,
        subject,
        started_at,
        ended_at,
        owner_id,
        owner_user_name,
        source,
        unchanged_since as seen_from,
        superseded_at as seen_until,
        false as is_current
    from versions
    union all
    select
        interaction_id,
        contact_id,
        requested_contact_id,
        media_type,
        type_id,
        state,
        subject,
        started_at,
        ended_at,
        owner_id,
        owner_user_name,
        source,
        first_seen_at as seen_from,
        null as seen_until,
        true as is_current
    from interactions
),

numbered as (
    select
        *,
        row_number() over by_interaction as version,
        lag(seen_until) over by_interaction as previous_until,
        lag(contact_id) over by_interaction as previous_contact_id,
        lag(media_type) over by_interaction as previous_media_type,
        lag(type_id) over by_interaction as previous_type_id,
        lag(state) over by_interaction as previous_state,
        lag(subject) over by_interaction as previous_subject,
        lag(started_at) over by_interaction as previous_started_at,
        lag(ended_at) over by_interaction as previous_ended_at,
        lag(owner_id) over by_interaction as previous_owner_id,
        lag(source) over by_interaction as previous_source
    from states
    window by_interaction as (
        partition by interaction_id
        order by is_current, seen_until, seen_from
    )
)

select
    interaction_id,
    version,
    is_current,
    case when is_current then coalesce(previous_until, seen_from) else seen_from end as seen_from,
    seen_until,
    case
        when version > 1
            then
                concat_ws(
                    ', ',
                    case when contact_id is distinct from previous_contact_id then 'contact_id' end,
                    case when media_type is distinct from previous_media_type then 'media_type' end,
                    case when type_id is distinct from previous_type_id then 'type_id' end,
                    case when state is distinct from previous_state then 'state' end,
                    case when subject is distinct from previous_subject then 'subject' end,
                    case when started_at is distinct from previous_started_at then 'started_at' end,
                    case when ended_at is distinct from previous_ended_at then 'ended_at' end,
                    case when owner_id is distinct from previous_owner_id then 'owner_id' end,
                    case when source is distinct from previous_source then 'source' end
                )
    end as what_changed,
    contact_id,
    requested_contact_id,
    media_type,
    type_id,
    state,
    subject,
    started_at,
    ended_at,
    owner_id,
    owner_user_name,
    source
from numbered
