"""What a contender has made: equal rows, or no time counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from history_pipeline.storage.layout import Layout
from history_pipeline_tests.benchmarks.records import ATTRIBUTES, DLT_DATABASE, INTERACTIONS


@dataclass(frozen=True, slots=True)
class Product:
    """Counts, and sums over the rows' hashes, which no order changes."""

    interactions: int
    interactions_sum: str
    attributes: int
    attributes_sum: str


def of(contender: str, layout: Layout) -> dict[str, Any] | None:
    """As columns and rows of the warehouse; None for who keeps nothing."""
    if contender == "bare":
        return None
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        if contender.startswith("dlt"):
            tables = _attached(connection, layout.root / DLT_DATABASE)
        elif contender == "whole":
            tables = _attached(connection, layout.published)
        else:
            tables = _in_the_lake(layout)
        return asdict(
            Product(
                *_sum(connection, tables[0], INTERACTIONS), *_sum(connection, tables[1], ATTRIBUTES)
            )
        )


def _attached(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, str]:
    connection.execute(f"attach '{path}' as made (read_only)")
    return "made.raw_gws.interactions", "made.raw_gws.interaction_attributes"


def _in_the_lake(layout: Layout) -> tuple[str, str]:
    days = f"read_parquet({[str(path) for path in layout.day_files()]})"
    named = f"select interaction_id, unnest(attributes, recursive := true) from {days}"
    return days, f"({named})"


def _sum(
    connection: duckdb.DuckDBPyConnection, table: str, columns: tuple[str, ...]
) -> tuple[int, str]:
    told = ", ".join(f"{name}::varchar" for name in columns)
    found = connection.execute(
        f"select count(*), sum(hash({told}))::varchar from {table}"
    ).fetchone()
    assert found is not None
    return int(found[0]), str(found[1])
