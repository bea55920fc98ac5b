with contacts as (
    select * from {{ ref('stg_gws__contacts') }}
)

select contact_id
from contacts
where last_seen_at = (select max(last_seen_at) from contacts)
