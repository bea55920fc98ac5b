-- A sweep: each span counts +1 from its first day and -1 from the day after its last, and the
-- running sum says how many contacts stand how on each day. Work grows with spans and with days,
-- never with contacts times days.
with coverage as (
    select * from {{ ref('stg_gws__coverage') }}
),

currently_listed_contacts as (
    select * from {{ ref('int_currently_listed_contacts') }}
),

spans as (
    select
        coverage.source,
        coverage.span_start,
        coverage.span_end,
        coverage.state,
        coverage.is_whole,
        currently_listed_contacts.contact_id is not null as is_currently_listed
    from coverage
    left join currently_listed_contacts using (contact_id)
),

edges as (
    select source, span_start as day, state, is_whole, is_currently_listed, 1 as change
    from spans
    union all
    select source, span_end as day, state, is_whole, is_currently_listed, -1 as change
    from spans
),

changes as (
    select
        source,
        day,
        sum(change) as planned,
        coalesce(sum(change) filter (where state = 'answered'), 0) as answered,
        coalesce(sum(change) filter (where state = 'unavailable'), 0) as unavailable,
        coalesce(sum(change) filter (where state = 'gone'), 0) as gone,
        coalesce(sum(change) filter (where state = 'failed'), 0) as failed,
        coalesce(sum(change) filter (where not is_whole), 0) as narrowed,
        coalesce(
            sum(change) filter (
                where is_currently_listed and state in ('answered', 'unavailable', 'gone')
            ),
            0
        ) as settled_of_listed
    from edges
    group by source, day
),

standing as (
    select
        source,
        day as from_day,
        lead(day) over by_day as until_day,
        sum(planned) over by_day as planned,
        sum(answered) over by_day as answered,
        sum(unavailable) over by_day as unavailable,
        sum(gone) over by_day as gone,
        sum(failed) over by_day as failed,
        sum(narrowed) over by_day as narrowed,
        sum(settled_of_listed) over by_day as settled_of_listed
    from changes
    window by_day as (partition by source order by day)
)

select
    source,
    unnest(range(from_day, until_day, interval 1 day))::date as day,
    planned::bigint as planned,
    answered::bigint as answered,
    unavailable::bigint as unavailable,
    gone::bigint as gone,
    failed::bigint as failed,
    narrowed::bigint as narrowed,
    settled_of_listed::bigint as settled_of_listed
from standing
where planned > 0
