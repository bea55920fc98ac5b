"""Which of several copies of an interaction wins: the rule, once, as SQL.

The one with an end date, then the newer run's, then main's, then the one whose contactId is the
contact asked for; then, so that the same input always gives the same row, the later seen one
and the smaller requested id. `contact_id` comes from the newest observation; that both sources
held it is kept. Folding is associative: folded rows fold again with others to the same result.
"""

from __future__ import annotations

from collections.abc import Callable

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

MERGED_COLUMNS = ("contact_id", "seen_in_main", "seen_in_archive")
"""What a row takes from all copies together, beside when it was seen."""

_NOT_CONTENT = ("attributes", "observed_at", "run_at", "is_own")
_CONTENT = (*MERGED_COLUMNS, *(name for name in WINNER_COLUMNS if name not in _NOT_CONTENT))

STANDING = """{
    'open': ended_at is null,
    'run': -epoch_us(run_at),
    'not_main': source <> 'main',
    'not_own': not is_own,
    'seen': -epoch_us(observed_at),
    'requested': requested_contact_id,
    'rest': hash(
        started_at_text, ended_at_text, state, media_type, type_id, subject, uri, owner_id,
        owner_user_name, owner_first_name, owner_last_name, extra, attributes
    )
}"""
"""The smaller, the better: what a copy is worth, in a few bytes. The hash stands for its text, so
that choosing among copies never holds what they say."""


def content(of: Callable[[str], str] = str) -> str:
    """A number that stands for all that analysts see change: every column of the warehouse's
    interactions but when it was seen. `of` qualifies a column's name."""
    return f"hash({', '.join(of(column) for column in _CONTENT)})"


def winners(copies: str, key: str, more: str = "") -> str:
    """A select with one row per `key` (a list of expressions) over the relation `copies`: the
    `copy_id` of the copy that wins, and what is merged from all of them, `more` (aggregates)
    included. Small rows, whatever the interactions hold."""
    return f"""
        select
            arg_min(copy_id, {STANDING}) as copy_id,
            arg_max(contact_id, {{'at': contact_seen_at, 'run': run_at, 'own': is_own,
                'contact': contact_id}}) as contact_id,
            max(contact_seen_at) filter (where contact_id is not null) as contact_seen_at,
            bool_or(seen_in_main) as seen_in_main,
            bool_or(seen_in_archive) as seen_in_archive,
            min(first_seen_at) as first_seen_at,
            max(last_seen_at) as last_seen_at
            {more}
        from {copies}
        group by {key}
    """


def folded(
    copies: str, winners_: str, since: str = "copies.unchanged_since", more: str = ""
) -> str:
    """A select with the rows of `copies` that won, in the columns of a part; `winners_` is what
    `winners` has chosen among the same copies, as the relation `won`; `since` is what tells since
    when a row says the same, `more` further columns. It streams: only `winners_` is held."""
    taken = ", ".join(f"copies.{column}" for column in WINNER_COLUMNS)
    return f"""
        select
            copies.interaction_id,
            won.contact_id,
            {taken},
            copies.asked,
            won.seen_in_main,
            won.seen_in_archive,
            won.first_seen_at,
            won.last_seen_at,
            coalesce(won.contact_seen_at, won.last_seen_at) as contact_seen_at,
            {since} as unchanged_since,
            null::timestamptz as superseded_at
            {more}
        from {copies} as copies
        join {winners_} as won using (copy_id)
    """
