with source_rows as (
    select * from {{ source('raw_gws', 'runs') }}
),

renamed as (
    select
        run_id,
        window_start,
        window_end,
        source,
        planned,
        answered,
        unavailable,
        gone,
        failed,
        interactions,
        rejects,
        fingerprint,
        started_at,
        finished_at
    from source_rows
)

select * from renamed
