"""Requests and records to build answers from."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from history_pipeline.gws import payloads
from history_pipeline.history.flatten import Answered
from history_pipeline.model import HistoryRequest, Source, Window

WINDOW = Window(date(2015, 10, 1), date(2015, 11, 1))
OBSERVED_AT = 1_700_000_000_000_000
RUN_AT = 1_700_000_000_000_000 - 5_000_000


def request(
    contact_id: str = "c1", source: Source = Source.MAIN, window: Window = WINDOW
) -> HistoryRequest:
    return HistoryRequest(contact_id, window, source)


def record(interaction_id: Any = "i1", **fields: Any) -> dict[str, Any]:
    """As small as a readable record can be, and what is given."""
    return {"id": interaction_id, "startDate": "2015-10-02 12:00:00.000+0200"} | fields


def raw(*records: Any) -> msgspec.Raw:
    """An answer of these records."""
    return payloads.array(
        [
            one if isinstance(one, msgspec.Raw) else msgspec.Raw(json.dumps(one).encode())
            for one in records
        ]
    )


def answered(
    *records: Any,
    contact_id: str = "c1",
    source: Source = Source.MAIN,
    window: Window = WINDOW,
    observed_at: int = OBSERVED_AT,
) -> Answered:
    return Answered(request(contact_id, source, window), raw(*records), observed_at)


SEED = Path(__file__).with_name("retrieve_contact_history.json")
"""The notification printed on the vendor's page of RetrieveContactHistory."""


def seed_records() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(SEED.read_text())["interactions"]
    return records
