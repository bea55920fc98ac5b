-- The server's content, not ours: a warning.
{{ config(
    severity='warn',
    meta={"description": "No interaction ends before it starts. The server sent those that do."}
) }}

with interactions as (
    select * from {{ ref('stg_gws__interactions') }}
)

select
    interaction_id,
    started_at,
    ended_at
from interactions
where ended_at < started_at
