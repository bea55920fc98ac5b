with source_rows as (
    select * from {{ source('raw_gws', 'interaction_versions') }}
),

renamed as (
    select
        interaction_id,
        contact_id,
        requested_contact_id,
        lower(media_type) as media_type,
        type_id,
        state,
        subject,
        uri,
        started_at,
        ended_at,
        started_at_text,
        ended_at_text,
        owner_id,
        owner_user_name,
        owner_first_name,
        owner_last_name,
        source,
        seen_in_main as is_seen_in_main,
        seen_in_archive as is_seen_in_archive,
        extra,
        window_date as day,
        unchanged_since,
        superseded_at,
        is_beside
    from source_rows
)

select * from renamed
