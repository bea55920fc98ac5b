{%- set attributes = attribute_columns() %}
with attributes as (
    select * from {{ ref('stg_gws__interaction_attributes') }}
),

configured as (
    {%- for attribute in attributes %}
    select
        {{ literal(attribute.name) }} as name,
        {{ literal(attribute.column) }} as column_name
    {{ 'union all' if not loop.last }}
    {%- else %}
    select
        null::varchar as name,
        null::varchar as column_name
    where false
    {%- endfor %}
),

counted as (
    select
        name,
        count(*) as interactions
    from attributes
    group by name
)

select
    coalesce(configured.name, counted.name) as name,
    configured.column_name,
    configured.name is not null as is_configured,
    coalesce(counted.interactions, 0) as interactions
from configured
full outer join counted on configured.name = counted.name
order by interactions desc, name
