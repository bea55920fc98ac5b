{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='interaction_id',
    on_schema_change='fail',
    contract={'enforced': false},
    persist_docs={'relation': true, 'columns': false}
) }}
{%- set attributes = attribute_columns() %}

-- after the other large one, for both together would need twice the memory
-- depends_on: {{ ref('interactions') }}

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
    where
        name in (
            {%- for attribute in attributes %}
            {{ literal(attribute.name) }}{{ ',' if not loop.last }}
            {%- else %}
            null
            {%- endfor %}
        )
        {%- if is_incremental() %}
        and interaction_id in (select interaction_id from interactions)
        {%- endif %}
),

widened as (
    select
        interaction_id
        {%- for attribute in attributes %},
        max(value) filter (where name = {{ literal(attribute.name) }}) as "{{ attribute.column }}"
        {%- endfor %}
    from attributes
    group by interaction_id
)

select
    interactions.interaction_id
    {%- for attribute in attributes %},
    widened."{{ attribute.column }}"
    {%- endfor %}
from interactions
left join widened on interactions.interaction_id = widened.interaction_id
