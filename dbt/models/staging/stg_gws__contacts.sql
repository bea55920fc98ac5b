with source_rows as (
    select * from {{ source('raw_gws', 'contacts') }}
),

renamed as (
    select
        contact_id,
        attributes,
        first_seen_at,
        last_seen_at
    from source_rows
)

select * from renamed
