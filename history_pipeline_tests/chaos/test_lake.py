"""Histories through lake and DuckDB: the warehouse holds what was answered, value by value."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pytest

from history_pipeline.storage import warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.chaos.lake import complaints, drawn_for_the_lake
from history_pipeline_tests.families import mostly_slow

IN_A_HURRY, IN_FULL = range(3), range(3, 23)


@pytest.mark.parametrize("seed", IN_A_HURRY)
def test_a_history_ends_in_the_warehouse_as_it_must(seed: int) -> None:
    assert complaints(drawn_for_the_lake(seed)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(IN_FULL.start, IN_FULL.stop, 5))
def test_twenty_histories_end_in_the_warehouse_as_they_must(first: int) -> None:
    seeds = range(first, first + 5)
    wrong = {seed: found for seed in seeds if (found := complaints(drawn_for_the_lake(seed)))}
    assert wrong == {}


SPOILS = {
    "delete from raw_gws.interactions where interaction_id = "
    "(select min(interaction_id) from raw_gws.interactions)": "are missing",
    "update raw_gws.interactions set state = 'x'": "has a wrong value",
    "update raw_gws.interaction_attributes set value = '0', value_type = 'number'": "wrong value",
    "delete from raw_gws.requests where contact_id = "
    "(select min(contact_id) from raw_gws.requests)": "in the ledger",
}


@pytest.mark.parametrize(("spoil", "seen_as"), mostly_slow(SPOILS.items()), ids=SPOILS.values())
def test_what_is_wrong_in_the_warehouse_is_seen(
    spoil: str, seen_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = warehouse.load

    def load(layout: Layout, now: datetime) -> None:
        real(layout, now)
        with duckdb.connect(str(layout.warehouse)) as connection:
            connection.execute(spoil)

    monkeypatch.setattr(warehouse, "load", load)
    told = complaints(drawn_for_the_lake(1))
    assert any(seen_as in each for each in told), told[:5]
