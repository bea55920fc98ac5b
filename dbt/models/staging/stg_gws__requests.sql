with source_rows as (
    select * from {{ source('raw_gws', 'requests') }}
),

renamed as (
    select
        run_id,
        contact_id,
        window_start,
        window_end,
        source,
        state,
        interactions,
        rejects,
        attempts,
        seconds,
        error,
        finished_at
    from source_rows
)

select * from renamed
