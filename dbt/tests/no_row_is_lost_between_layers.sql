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
