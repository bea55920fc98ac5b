"""Which of several copies of an interaction wins: the rule, once, as SQL.

The one with an end date, then the newer run's, then main's, then the one whose contactId is the
contact asked for; then, so that the same input always gives the same row, the later seen one
and the smaller requested id. `contact_id` comes from the newest observation; that both sources
held it is kept. Folding is associative: folded rows fold again with others to the same result.
"""

from __future__ import annotations

WINNER_COLUMNS = (
    "requested_contact_id",
    "media_type",
    "type_id",
    "state",
    "subject",
    "uri",
    "started_at",
    "ended_at",
    "started_at_text",
    "ended_at_text",
    "owner_id",
    "owner_user_name",
    "owner_first_name",
    "owner_last_name",
    "source",
    "extra",
    "window_date",
    "attributes",
    "observed_at",
    "run_at",
    "is_own",
)
"""What a row takes from the winning copy as it is."""

RANK = """
    (ended_at is not null) desc,
    run_at desc,
    (source = 'main') desc,
    is_own desc,
    observed_at desc,
    requested_contact_id asc,
    started_at_text, ended_at_text, state, media_type, type_id, subject, uri,
    owner_id, owner_user_name, owner_first_name, owner_last_name, extra, attributes::varchar
"""


def fold(copies: str, key: str) -> str:
    """A select with one row per `key` (a list of columns) over the relation `copies`."""
    winners = ",\n        ".join(WINNER_COLUMNS)
    return f"""
    with ranked as (
        select *, row_number() over (partition by {key} order by {RANK}) as place
        from {copies}
    ),
    winners as (
        select interaction_id, asked, {winners} from ranked where place = 1
    ),
    sightings as (
        select
            {key},
            arg_max(contact_id, {{'at': contact_seen_at, 'run': run_at, 'own': is_own,
                'contact': contact_id}}) as contact_id,
            max(contact_seen_at) filter (where contact_id is not null) as contact_seen_at,
            bool_or(seen_in_main) as seen_in_main,
            bool_or(seen_in_archive) as seen_in_archive,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
        from {copies}
        group by {key}
    )
    select
        winners.interaction_id,
        sightings.contact_id,
        {", ".join(f"winners.{column}" for column in WINNER_COLUMNS)},
        winners.asked,
        sightings.seen_in_main,
        sightings.seen_in_archive,
        sightings.first_seen_at,
        sightings.last_seen_at,
        coalesce(sightings.contact_seen_at, sightings.last_seen_at) as contact_seen_at
    from winners
    join sightings using ({key})
    """
