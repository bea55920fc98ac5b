"""Questions that analysts ask of the published file, as the demo shows them."""

from __future__ import annotations

from typing import Any

from history_pipeline.storage import database
from history_pipeline.storage.layout import Layout

QUERIES = {
    "Which channels do customers use?": """\
select media_type, sum(interactions) as interactions, round(avg(contacts), 1) as contacts_a_day
from marts.daily_channel_volume
group by media_type order by interactions desc limit 5""",
    "Who contacts us most, and what is still open?": """\
select contact_id, interactions, open_interactions, last_interaction_at
from marts.contacts
order by interactions desc, contact_id limit 5""",
    "Can these numbers be trusted?": """\
select source, count(*) as days, sum(requests_planned) as planned,
    sum(requests_answered) as answered, sum(requests_failed) as failed,
    bool_and(is_complete) as complete
from marts.data_completeness
group by source order by source desc""",
}


def answers(layout: Layout) -> list[tuple[str, str, list[str], list[tuple[Any, ...]]]]:
    """(question, query, column names, rows) for each, read from the published file."""
    with database.reading(layout.published, layout.scratch) as connection:
        found = []
        for question, query in QUERIES.items():
            result = connection.execute(query)
            columns = [column[0] for column in result.description or []]
            found.append((question, query, columns, result.fetchall()))
        return found
