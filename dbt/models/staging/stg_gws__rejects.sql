with source_rows as (
    select * from {{ source('raw_gws', 'rejects') }}
),

renamed as (
    select
        reject_id,
        reason,
        requested_contact_id,
        window_start,
        source,
        payload,
        seen_at,
        resolved_at
    from source_rows
)

select * from renamed
