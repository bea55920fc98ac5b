-- Fails with a row for each span that is empty, overlaps the one before it or has no known state,
-- and for each day whose four counts do not add up to the plan.
{{ config(meta={"description": "Spans are sound, and each day's counts add up to its plan."}) }}

with coverage as (
    select * from {{ ref('stg_gws__coverage') }}
),

data_completeness as (
    select * from {{ ref('data_completeness') }}
),

neighbours as (
    select
        source,
        span_start,
        span_end,
        state,
        lag(span_end) over (partition by contact_id, source order by span_start) as previous_end
    from coverage
),

unsound_spans as (
    select
        case
            when span_start >= span_end then 'empty span'
            when previous_end > span_start then 'overlapping spans'
            else 'unknown state'
        end as what,
        source,
        span_start as day
    from neighbours
    where
        span_start >= span_end
        or previous_end > span_start
        or state not in ('answered', 'unavailable', 'gone', 'failed')
),

unbalanced_days as (
    select
        'counts do not add up to the plan' as what,
        source,
        day
    from data_completeness
    where
        requests_planned
        <> requests_answered + requests_unavailable + requests_gone + requests_failed
)

select * from unsound_spans
union all
select * from unbalanced_days
