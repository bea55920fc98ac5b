with listed_contacts as (
    select * from {{ ref('stg_gws__contacts') }}
),

contact_interactions as (
    select * from {{ ref('int_contact_interactions') }}
)

select
    coalesce(listed_contacts.contact_id, contact_interactions.contact_id) as contact_id,
    listed_contacts.contact_id is not null as is_listed,
    listed_contacts.attributes,
    contact_interactions.first_interaction_at,
    contact_interactions.last_interaction_at,
    coalesce(contact_interactions.interactions, 0) as interactions,
    coalesce(contact_interactions.open_interactions, 0) as open_interactions,
    coalesce(listed_contacts.first_seen_at, contact_interactions.first_seen_at) as first_seen_at,
    coalesce(listed_contacts.last_seen_at, contact_interactions.last_seen_at) as last_seen_at
from listed_contacts
full outer join contact_interactions
    on listed_contacts.contact_id = contact_interactions.contact_id
