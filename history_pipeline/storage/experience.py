"""What runs so far have taken: the measure of what the next will take."""

from __future__ import annotations

from dataclasses import dataclass

from history_pipeline.storage import database
from history_pipeline.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class Experience:
    """Averages over the ledger's answered requests, and over what lies on disk."""

    requests: int
    seconds_per_request: float
    interactions_per_contact_day: float
    """Of all sources together."""
    bytes_per_interaction: float
    """In the lake, the warehouse and the published file together."""


def experience(layout: Layout) -> Experience | None:
    """None where nothing was ever answered and published here. Nobody is disturbed: a load could
    not open the warehouse while it is read."""
    if not layout.published.exists():
        return None
    with database.reading(layout.published, layout.scratch) as connection:
        ((requests, seconds, interactions, contact_days, held),) = connection.execute("""
            select count(*), avg(seconds), sum(interactions),
                sum(window_end - window_start) / count(distinct source),
                (select count(*) from raw_gws.interactions)
            from raw_gws.requests where state = 'answered'
        """).fetchall()
    if not requests or not held:
        return None
    files = [*layout.day_files(), layout.warehouse, layout.published]
    size = sum(path.stat().st_size for path in files if path.exists())
    return Experience(
        int(requests), float(seconds), float(interactions) / float(contact_days), size / held
    )
