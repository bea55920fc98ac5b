-- A standing reject whose window starts on a day that has no row in data_completeness is counted
-- nowhere there.
{{ config(
    severity='warn',
    meta={"description": "Every standing reject is counted on some day of data_completeness."}
) }}

with rejects as (
    select * from {{ ref('stg_gws__rejects') }}
),

data_completeness as (
    select * from {{ ref('data_completeness') }}
)

select
    rejects.reject_id,
    rejects.source,
    rejects.window_start
from rejects
left join data_completeness
    on
        rejects.window_start = data_completeness.day
        and rejects.source = data_completeness.source
where
    rejects.resolved_at is null
    and data_completeness.day is null
