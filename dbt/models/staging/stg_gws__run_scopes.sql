with source_rows as (
    select * from {{ source('raw_gws', 'run_scopes') }}
),

renamed as (
    select
        run_id,
        window_start,
        window_end,
        contact_source,
        is_whole,
        is_discovery_complete,
        custom_attributes,
        server_timezone,
        started_at
    from source_rows
)

select * from renamed
