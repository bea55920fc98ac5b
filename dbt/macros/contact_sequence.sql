{#-
    Where each interaction stands among its contact's. `starts` is a relation of interaction_id,
    contact_id, media_type, started_at and day, of whole contacts.
-#}
{% macro in_sequence(starts) -%}
    select
        interaction_id,
        row_number() over by_contact as contact_sequence,
        (epoch_us(started_at) - epoch_us(lag(started_at) over by_contact)) / 1e6
            as seconds_since_previous,
        day - lag(day) over by_contact as days_since_previous,
        lead(day) over by_contact - day as days_until_next,
        lag(media_type) over by_contact as previous_media_type
    from {{ starts }}
    where contact_id is not null
    window by_contact as (partition by contact_id order by started_at, interaction_id)
{%- endmacro %}

{#-
    Before marts.interactions goes on from the last build: most of what was asked again has only
    been seen again. Contacts are put into sequence anew where one of their interactions is new or
    stands elsewhere, the contact that it has left included. Rows that are not written anew, and
    have a new neighbour, are updated: few columns of few rows, where they lie.
-#}
{% macro put_in_sequence_anew() -%}
{%- if is_incremental() %}
create or replace temp table places_in_motion as
with staged as (
    select * from {{ ref('stg_gws__interactions') }}
),

changed as (
    select interaction_id from {{ source('raw_gws', 'changed_interactions') }}
),

moved as (
    select
        staged.contact_id,
        known.contact_id as previous_contact_id
    from staged
    semi join changed on staged.interaction_id = changed.interaction_id
    left join (
        select held.interaction_id, held.contact_id, held.started_at, held.media_type
        from {{ this }} as held
        semi join changed on held.interaction_id = changed.interaction_id
    ) as known on staged.interaction_id = known.interaction_id
    where
        known.interaction_id is null
        or staged.contact_id is distinct from known.contact_id
        or staged.started_at <> known.started_at
        or staged.media_type is distinct from known.media_type
),

contacts_in_motion as (
    select contact_id from moved
    union
    select previous_contact_id from moved
),

starts as (
    select
        staged.interaction_id,
        staged.contact_id,
        staged.media_type,
        staged.started_at,
        {{ local_day('staged.started_at') }} as day
    from staged
    semi join contacts_in_motion on staged.contact_id = contacts_in_motion.contact_id
)

{{ in_sequence('starts') }};

update {{ this }} as held set
    contact_sequence = places.contact_sequence,
    seconds_since_previous = places.seconds_since_previous,
    days_since_previous = places.days_since_previous,
    days_until_next = places.days_until_next,
    previous_media_type = places.previous_media_type,
    is_repeat_7d = coalesce(places.days_since_previous <= 7, false)
from places_in_motion as places
where
    held.interaction_id = places.interaction_id
    and (
        held.contact_sequence,
        held.seconds_since_previous,
        held.days_since_previous,
        held.days_until_next,
        held.previous_media_type
    ) is distinct from (
        places.contact_sequence,
        places.seconds_since_previous,
        places.days_since_previous,
        places.days_until_next,
        places.previous_media_type
    );
{%- endif %}
{%- endmacro %}

{#-
    The days on which changed interactions start, as a condition that lets DuckDB leave out whole
    stretches of the table: it reads all columns of a row before it knows whether the row is due.
-#}
{% macro on_changed_days(column) -%}
    {%- if execute -%}
        {%- set found = run_query(
            'select min(window_date), max(window_date) from raw_gws.interactions '
            'semi join raw_gws.changed_interactions using (interaction_id)'
        ) -%}
        {%- set first, last = found.columns[0].values()[0], found.columns[1].values()[0] -%}
        {%- if first -%}
            {{ column }} between date '{{ first }}' and date '{{ last }}'
        {%- else -%}
            false
        {%- endif -%}
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
