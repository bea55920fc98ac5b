"""The ledger of discovery: every question that was asked to find out who was active.

One file a run, written when its discovery ends, however it does. It names no contact. Does not
know what an answer showed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import duckdb
import pyarrow as pa

from history_pipeline.model import DiscoveryRequest
from history_pipeline.storage import files
from history_pipeline.storage.database import paths
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import DISCOVERY


def keep(layout: Layout, run_id: str, requests: Iterable[DiscoveryRequest]) -> None:
    """Puts them into the lake, as those of this run; nothing where there were none."""
    rows = [asdict(request) for request in requests]
    if rows:
        table = pa.Table.from_pylist(rows, DISCOVERY)
        files.replace_table(table, layout.discovery_ledger(run_id))


def load(connection: duckdb.DuckDBPyConnection, ledgers: list[Path]) -> None:
    """Puts these files' rows in place of those of their runs. Call it within a transaction."""
    if not ledgers:
        return
    connection.execute(f"""
        create or replace temp table discovered as
        select parse_filename(filename, true) as run_id, * exclude (filename)
        from read_parquet({paths(ledgers)}, filename = true);
        delete from raw_gws.discovery_requests
        where run_id in (select run_id from discovered);
        insert into raw_gws.discovery_requests by name from discovered;
        drop table discovered;
    """)
