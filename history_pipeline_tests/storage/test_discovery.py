"""The ledger of discovery, in the lake and in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from history_pipeline.errors import Damaged
from history_pipeline.model import DiscoveryRequest, ListingState, Source
from history_pipeline.storage import database, discovery, forgetting, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.storage.lake import NOON

ASKED = DiscoveryRequest(
    date(2024, 5, 1), date(2024, 5, 31), Source.MAIN, None, "asc", 10_000, ListingState.REFUSED,
    NOON, error="status code 10 (HTTP 400)",
)  # fmt: skip
ANSWERED = replace(
    ASKED, media_type="chat", max_size=5_000, state=ListingState.ANSWERED, records=7, nobodys=1,
    attempts=2, seconds=1.5, error=None,
)  # fmt: skip


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def kept(layout: Layout) -> list[dict[str, object]]:
    with database.reading(layout.warehouse, layout.scratch) as connection:
        result = connection.execute("from raw_gws.discovery_requests order by run_id, max_size")
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def rows(run_id: str, *requests: DiscoveryRequest) -> Iterator[dict[str, object]]:
    for each in requests:
        yield {"run_id": run_id, **asdict(each)}


def test_what_was_asked_comes_into_the_warehouse_with_its_run(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [ASKED, ANSWERED])
    warehouse.load(layout, NOON)
    assert kept(layout) == list(rows("20240601T120000Z-aa", ANSWERED, ASKED))
    discovery.keep(layout, "20240602T120000Z-bb", [ASKED])
    warehouse.load(layout, NOON)
    warehouse.load(layout, NOON)
    assert len(kept(layout)) == 3


def test_the_warehouse_is_made_anew_with_it(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [ASKED, ANSWERED])
    warehouse.load(layout, NOON)
    before = kept(layout)
    layout.warehouse.unlink()
    warehouse.rebuild(layout, NOON)
    assert kept(layout) == before


def test_it_is_kept_for_thirty_days_and_longer_in_the_lake(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [ASKED])
    warehouse.load(layout, NOON)
    late = replace(ASKED, finished_at=NOON + timedelta(days=31))
    discovery.keep(layout, "20240702T120000Z-bb", [late])
    warehouse.load(layout, late.finished_at)
    assert [row["run_id"] for row in kept(layout)] == ["20240702T120000Z-bb"]
    assert len(layout.discovery_ledgers()) == 2


def test_nothing_is_written_where_nothing_was_asked(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [])
    assert layout.discovery_ledgers() == []


def test_files_are_their_owners_alone(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [ASKED])
    (path,) = layout.discovery_ledgers()
    assert path.stat().st_mode & 0o777 == 0o600


def test_forgetting_a_contact_leaves_it_as_it_is(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [ASKED, ANSWERED])
    (path,) = layout.discovery_ledgers()
    before = path.read_bytes()
    forgetting.forget(layout, "c1")
    assert path.read_bytes() == before


def test_a_damaged_file_is_named(layout: Layout) -> None:
    discovery.keep(layout, "20240601T120000Z-aa", [ASKED])
    (path,) = layout.discovery_ledgers()
    path.write_bytes(b"what somebody has put here")
    with pytest.raises(Damaged, match=r"20240601T120000Z-aa\.parquet is damaged: put a copy"):
        warehouse.load(layout, NOON)
