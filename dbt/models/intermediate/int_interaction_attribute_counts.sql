with attributes as (
    select * from {{ ref('stg_gws__interaction_attributes') }}
)

select
    interaction_id,
    count(*) as attribute_count
from attributes
group by interaction_id
