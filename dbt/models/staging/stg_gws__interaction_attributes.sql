with source_rows as (
    select * from {{ source('raw_gws', 'interaction_attributes') }}
),

renamed as (
    select
        interaction_id,
        name,
        value,
        value_type
    from source_rows
)

select * from renamed
