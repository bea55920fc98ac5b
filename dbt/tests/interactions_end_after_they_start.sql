-- The server's content, not ours: a warning.
{{ config(severity='warn') }}

with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
)

select
    interaction_id,
    started_at,
    ended_at
from interactions
where ended_at < started_at
