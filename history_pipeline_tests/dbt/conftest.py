"""Warehouses made by hand, and the models built over them.

A build costs seconds, so each is shared by the session. All of them happen at one path, for dbt
parses anew when its profile changes, and each file is then moved away under another name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "dbt"
SCHEMA = ROOT / "history_pipeline" / "storage" / "schema.sql"

Fill = Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True, slots=True)
class Build:
    """What one `dbt build` left behind."""

    exit_status: int
    output: str
    statuses: Mapping[str, str]
    """Name of a model or test to pass, success, warn, fail, error or skipped."""
    warehouse: Path
    target: Path

    def compiled(self, path: str) -> str:
        """SQL of a model or test as dbt ran it; `path` is relative to the project."""
        return (self.target / "compiled" / "history_pipeline" / path).read_text()


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes a warehouse, fills its raw tables and runs dbt over it."""

    home: Path

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    def build(self, name: str, fill: Fill, **environment: str) -> Build:
        """`environment` is what the site has configured of the models."""
        path = self.warehouse
        with duckdb.connect() as connection:
            connection.execute(f"attach '{path}' as warehouse (storage_version 'v1.2.0')")
            connection.execute("use warehouse")
            connection.execute("set timezone = 'UTC'")
            connection.execute(SCHEMA.read_text())
            fill(connection)
        run = self.dbt("build", "--exclude-resource-types", "unit_test", **environment)
        target = self.home / "target"
        results = json.loads((target / "run_results.json").read_text())["results"]
        assert not path.with_name("warehouse.duckdb.wal").exists(), "dbt left work unchecked"
        kept = path.rename(self.home / f"{name}.duckdb")
        kept_target = self.home / f"{name}_target"
        shutil.copytree(target, kept_target)
        return Build(
            exit_status=run.returncode,
            output=run.stdout + run.stderr,
            statuses={r["unique_id"].split(".")[2]: r["status"] for r in results},
            warehouse=kept,
            target=kept_target,
        )

    def dbt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """dbt over the warehouse that lies there."""
        return subprocess.run(
            [
                *(sys.executable, "-m", "dbt.cli.main", "--no-use-colors", *arguments),
                *("--project-dir", PROJECT, "--profiles-dir", PROJECT),
            ],
            cwd=self.home,
            env=os.environ
            | {
                "HISTORY_WAREHOUSE_PATH": str(self.warehouse),
                "DBT_TARGET_PATH": str(self.home / "target"),
                "DBT_LOG_PATH": str(self.home / "logs"),
            }
            | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def listing(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*")}


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    before = listing(PROJECT)
    yield Builder(tmp_path_factory.mktemp("dbt"))
    assert listing(PROJECT) == before, "dbt wrote below its project"


@pytest.fixture(scope="session")
def empty(builder: Builder) -> Build:
    """The models over a warehouse without a row."""
    return builder.build("empty", lambda connection: None)


@pytest.fixture
def models(empty: Build, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A built warehouse to fill: its views answer over whatever a test puts into `raw_gws`."""
    path = shutil.copy(empty.warehouse, tmp_path / "models.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.fixture
def completeness_sql(empty: Build) -> str:
    """The query behind `marts.data_completeness`."""
    return empty.compiled("models/marts/data_completeness.sql")


@pytest.fixture
def coverage_test_sql(empty: Build) -> str:
    """The query behind the test `coverage_is_accounted_for`."""
    return empty.compiled("tests/coverage_is_accounted_for.sql")
