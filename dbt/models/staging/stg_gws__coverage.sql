with source_rows as (
    select * from {{ source('raw_gws', 'coverage') }}
),

renamed as (
    select
        contact_id,
        source,
        span_start,
        span_end,
        state,
        is_whole,
        finished_at
    from source_rows
)

select * from renamed
