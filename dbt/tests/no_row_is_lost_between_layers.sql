-- Fails with a row for each pair of layers whose counts differ.
{{ config(meta={"description": "Counts of rows agree from staging to marts."}) }}

with staged_interactions as (
    select * from {{ ref('stg_gws__interactions') }}
),

staged_attributes as (
    select * from {{ ref('stg_gws__interaction_attributes') }}
),

staged_contacts as (
    select * from {{ ref('stg_gws__contacts') }}
),

interactions as (
    select * from {{ ref('interactions') }}
),

contacts as (
    select * from {{ ref('contacts') }}
),

daily_channel_volume as (
    select * from {{ ref('daily_channel_volume') }}
),

hourly_volume as (
    select * from {{ ref('hourly_volume') }}
),

owner_daily as (
    select * from {{ ref('owner_daily') }}
),

repeat_contacts as (
    select * from {{ ref('repeat_contacts') }}
),

channel_transitions as (
    select * from {{ ref('channel_transitions') }}
),

interaction_attributes_wide as (
    select * from {{ ref('interaction_attributes_wide') }}
),

attribute_names as (
    select * from {{ ref('attribute_names') }}
),

counts as (
    select
        'interactions, from staging to marts' as what,
        (select count(*) from staged_interactions) as expected,
        (select count(*) from interactions) as found
    union all
    select
        'interactions, by day and channel',
        (select count(*) from staged_interactions),
        (select coalesce(sum(interactions), 0) from daily_channel_volume)
    union all
    select
        'interactions, by hour of the week and channel',
        (select count(*) from staged_interactions),
        (select coalesce(sum(interactions), 0) from hourly_volume)
    union all
    select
        'interactions with an owner, by owner and day',
        (select count(owner_id) from staged_interactions),
        (select coalesce(sum(handled), 0) from owner_daily)
    union all
    select
        'interactions that name a contact, by day',
        (select count(contact_id) from staged_interactions),
        (select coalesce(sum(interactions), 0) from repeat_contacts where within_days = 7)
    union all
    select
        'interactions that follow another of their contact, by channels',
        (
            select count(contact_id) - count(distinct contact_id)
            from staged_interactions
        ),
        (select coalesce(sum(transitions), 0) from channel_transitions)
    union all
    select
        'interactions, with their attributes in columns',
        (select count(*) from staged_interactions),
        (select count(*) from interaction_attributes_wide)
    union all
    select
        'attributes, by name',
        (select count(*) from staged_attributes),
        (select coalesce(sum(interactions), 0) from attribute_names)
    union all
    select
        'interactions that name a contact, by contact',
        (select count(contact_id) from staged_interactions),
        (select coalesce(sum(interactions), 0) from contacts)
    union all
    select
        'attributes, by interaction',
        (select count(*) from staged_attributes),
        (select coalesce(sum(attribute_count), 0) from interactions)
    union all
    select
        'listed contacts',
        (select count(*) from staged_contacts),
        (select count(*) from contacts where is_listed)
    union all
    select
        'contacts that only interactions name',
        (
            select count(distinct contact_id)
            from staged_interactions
            where contact_id not in (select contact_id from staged_contacts)
        ),
        (select count(*) from contacts where not is_listed)
)

select * from counts
where expected <> found
