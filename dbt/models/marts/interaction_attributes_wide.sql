{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='interaction_id',
    on_schema_change='fail',
    contract={'enforced': false},
    persist_docs={'relation': true, 'columns': false}
) }}
{%- set attributes = attribute_columns() %}

with interactions as (
    select interaction_id
    from {{ ref('stg_gws__interactions') }}
    {%- if is_incremental() %}
    where interaction_id in (
        select interaction_id from {{ source('raw_gws', 'changed_interactions') }}
    )
    {%- endif %}
),

attributes as (
    select * from {{ ref('stg_gws__interaction_attributes') }}
    {%- if is_incremental() %}
    where interaction_id in (select interaction_id from interactions)
    {%- endif %}
),

widened as (
    select
        interaction_id,
        {%- for attribute in attributes %}
        max(value) filter (where name = {{ literal(attribute.name) }}) as "{{ attribute.column }}",
        {%- endfor %}
        to_json(
            map_from_entries(
                list({'k': name, 'v': value} order by name)
                {%- if attributes %} filter (
                    where name not in (
                        {%- for attribute in attributes %}
                        {{ literal(attribute.name) }}{{ ',' if not loop.last }}
                        {%- endfor %}
                    )
                )
                {%- endif %}
            )
        ) as other_attributes
    from attributes
    group by interaction_id
)

select
    interactions.interaction_id,
    {%- for attribute in attributes %}
    widened."{{ attribute.column }}",
    {%- endfor %}
    widened.other_attributes
from interactions
left join widened on interactions.interaction_id = widened.interaction_id
