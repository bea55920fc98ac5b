"""The columns of every file in the lake, as Arrow schemas.

Knows names and types. Does not know where files lie or how rows come to be.
"""

from __future__ import annotations

import pyarrow as pa

LAKE_FORMAT = 2
"""Raised whenever a file of the lake changes its meaning; `migration` brings older ones here."""

MOMENT = pa.timestamp("us", tz="UTC")

ATTRIBUTES = pa.list_(
    pa.struct(
        [
            pa.field("name", pa.string(), nullable=False),
            pa.field("value", pa.string()),
            pa.field("value_type", pa.string(), nullable=False),
        ]
    )
)

INTERACTION_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("interaction_id", pa.string()),
    ("contact_id", pa.string()),
    ("requested_contact_id", pa.string()),
    ("media_type", pa.string()),
    ("type_id", pa.string()),
    ("state", pa.string()),
    ("subject", pa.string()),
    ("uri", pa.string()),
    ("started_at", MOMENT),
    ("ended_at", MOMENT),
    ("started_at_text", pa.string()),
    ("ended_at_text", pa.string()),
    ("owner_id", pa.string()),
    ("owner_user_name", pa.string()),
    ("owner_first_name", pa.string()),
    ("owner_last_name", pa.string()),
    ("source", pa.string()),
    ("extra", pa.string()),
    ("window_date", pa.date32()),
    ("attributes", ATTRIBUTES),
    ("observed_at", MOMENT),
]
"""What an answer says of one interaction: one observation."""

OBSERVATIONS = pa.schema(
    [
        *INTERACTION_COLUMNS,
        ("run_at", MOMENT),
        # the names asked for, as a JSON list: only these are replaced by this observation
        ("asked", pa.string()),
        ("is_own", pa.bool_()),
        # what folding many observations into one row keeps of the others
        ("seen_in_main", pa.bool_()),
        ("seen_in_archive", pa.bool_()),
        ("first_seen_at", MOMENT),
        ("last_seen_at", MOMENT),
        ("contact_seen_at", MOMENT),
        # since when it says the same, and until when it did: null where it still does
        ("unchanged_since", MOMENT),
        ("superseded_at", MOMENT),
    ]
)
"""Parts hold one row per observation, day files one row per interaction and set of names asked,
version files one row per state in which a day file no longer has an interaction."""

LEDGER = pa.schema(
    [
        ("contact_id", pa.string()),
        ("window_start", pa.date32()),
        ("window_end", pa.date32()),
        ("source", pa.string()),
        ("state", pa.string()),
        ("interactions", pa.int64()),
        ("rejects", pa.int64()),
        ("attempts", pa.int32()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("finished_at", MOMENT),
    ]
)
"""One row per request that has ended."""

PART_LEDGER = LEDGER.append(pa.field("received", pa.int64()))
"""The same as parts hold it: `received` is how many records an answer had that was taken as it
came, those of other windows included."""

REJECTS = pa.schema(
    [
        ("reject_id", pa.string()),
        ("reason", pa.string()),
        ("requested_contact_id", pa.string()),
        ("window_start", pa.date32()),
        ("source", pa.string()),
        ("payload", pa.string()),
        ("seen_at", MOMENT),
    ]
)
"""One row per record set aside, as often as it was seen."""

RESOLVED = pa.schema([("reject_id", pa.string()), ("resolved_at", MOMENT)])
"""One row per record that was set aside and has been read since."""

DISCOVERY = pa.schema(
    [
        ("from_date", pa.date32()),
        ("to_date", pa.date32()),
        ("source", pa.string()),
        ("media_type", pa.string()),
        ("sort", pa.string()),
        ("max_size", pa.int64()),
        ("state", pa.string()),
        ("records", pa.int64()),
        ("nobodys", pa.int64()),
        ("attempts", pa.int32()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("finished_at", MOMENT),
    ]
)
"""One row per question of a discovery."""

FROZEN_CONTACTS = pa.schema([("contact_id", pa.string())])

PLAN = pa.schema(
    [("contact_id", pa.string()), ("window_start", pa.date32()), ("source", pa.string())]
)
"""One row per request, where a run is to ask less than everything of everybody."""

CONTACTS = pa.schema(
    [
        ("contact_id", pa.string()),
        ("attributes", pa.string()),
        ("first_seen_at", MOMENT),
        ("last_seen_at", MOMENT),
    ]
)
"""One row per contact ever listed."""
