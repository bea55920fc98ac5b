{#-
    Before marts.interactions goes on from the last build: most of what was asked again says what it
    said. Of those rows `last_seen_at` is updated where they lie, a column instead of all; the table
    `only_seen_again` tells which they are.
-#}
{% macro note_those_only_seen_again() -%}
{%- if is_incremental() %}
{%- set alike = [
    'contact_id', 'requested_contact_id', 'media_type', 'type_id', 'state', 'subject', 'uri',
    'started_at', 'ended_at', 'owner_id', 'owner_user_name', 'owner_first_name', 'owner_last_name',
    'source', 'is_seen_in_main', 'is_seen_in_archive', 'first_seen_at'
] %}
create or replace temp table only_seen_again as
with changed as (
    select interaction_id from {{ source('raw_gws', 'changed_interactions') }}
),

staged as (
    select * from {{ ref('stg_gws__interactions') }}
    where {{ on_changed_days('day') }}
),

known as (
    select * from {{ this }}
    where {{ on_changed_days('server_day') }}
),

attribute_counts as (
    select
        interaction_id,
        count(*) as attribute_count
    from {{ ref('stg_gws__interaction_attributes') }}
    where interaction_id in (select interaction_id from changed)
    group by interaction_id
)

select
    staged.interaction_id,
    staged.last_seen_at
from staged
semi join changed on staged.interaction_id = changed.interaction_id
inner join known on staged.interaction_id = known.interaction_id
left join attribute_counts on staged.interaction_id = attribute_counts.interaction_id
where
    known.server_day = staged.day
    and known.attribute_count = coalesce(attribute_counts.attribute_count, 0)
    {%- for column in alike %}
    and known.{{ column }} is not distinct from staged.{{ column }}
    {%- endfor %};

update {{ this }} as held set last_seen_at = only_seen_again.last_seen_at
from only_seen_again
where held.interaction_id = only_seen_again.interaction_id;
{%- endif %}
{%- endmacro %}
