"""`explain`, over a site that was asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from history_pipeline.cli.exits import Exit
from history_pipeline.cli.explain import run_explain
from history_pipeline.storage import tracing
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.cli.conftest import SPAN, Site

pytestmark = pytest.mark.slow


@pytest.fixture
def _as_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in site.told.items():
        monkeypatch.setenv(name, value)
    yield


def of(site: Site, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(site.layout.published), read_only=True) as connection:
        return connection.execute(query).fetchall()


def told_of(interaction_id: str, capfd: pytest.CaptureFixture[str]) -> str:
    assert run_explain(interaction_id) == Exit.COMPLETE
    return capfd.readouterr().out


@pytest.mark.usefixtures("_as_told")
def test_the_whole_way_of_an_interaction_is_told(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    ((interaction_id, contact_id, owner, day, subject),) = of(
        site,
        "select interaction_id, requested_contact_id, owner_id, day::varchar, subject"
        " from marts.interactions"
        " where is_seen_in_main and is_seen_in_archive and owner_id is not null"
        " and length(subject) > 8 and contact_id = requested_contact_id order by 1 limit 1",
    )
    told = told_of(interaction_id, capfd)
    for source in ("main", "archive"):
        asked = (
            f"run {site.run_id}  contact {contact_id}, {SPAN.start} to before {SPAN.end}, "
            f"{source}: answered"
        )
        assert asked in told
    assert told.count("brought it as it is") == 1
    assert "(seen in main and archive)" in told
    assert f"{site.layout.lake}/days/2026/{day}.parquet" in told
    assert f"{site.run_id}.{SPAN.start}.{SPAN.end}.json" in told
    assert f"marts.owner_daily: {owner}, {day}" in told
    assert "1. " in told
    assert subject not in told


def test_what_is_told_agrees_with_the_tables(site: Site) -> None:
    for interaction_id, requested, source in of(
        site,
        "select interaction_id, requested_contact_id, source from marts.interactions"
        " order by hash(interaction_id) limit 12",
    ):
        found = tracing.trace(site.layout, interaction_id)
        (observation,) = found.observations
        assert (observation["requested_contact_id"], observation["source"]) == (requested, source)
        (gave,) = [row for row in found.requests if row["gave_row"]]
        ((state, attempts, interactions),) = of(
            site,
            "select state, attempts, interactions from raw_gws.requests"
            f" where contact_id = '{requested}' and source = '{source}'",
        )
        assert (gave["state"], gave["attempts"], gave["interactions"]) == (
            state,
            attempts,
            interactions,
        )
        assert interactions > 0
        assert [file["loaded_at"] is not None for file in found.files] == [True]
        assert len(found.certificates) == len(found.modelled) == len(found.versions) == 1


@pytest.mark.usefixtures("_as_told")
def test_a_record_that_was_set_aside_is_told_with_its_reason(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    named = [
        (json.loads(payload)["id"], reason)
        for payload, reason in of(site, "select payload, reason from raw_gws.rejects order by 1")
        if payload.startswith('{"') and json.loads(payload).get("id")
    ]
    interaction_id, reason = next(row for row in named if isinstance(row[0], str))
    told = told_of(interaction_id, capfd)
    assert "set aside" in told
    assert reason in told


@pytest.mark.usefixtures("_as_told")
def test_an_id_that_nobody_has_seen_is_a_wrong_argument(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run_explain("it's [nobody]") == Exit.CONFIGURATION
    told = capfd.readouterr().out
    assert "no run has ever seen" in told
    assert "it's [nobody]" in told


def test_what_is_not_loaded_yet_is_told_from_the_lake(site: Site, tmp_path: Path) -> None:
    ((interaction_id,),) = of(site, "select min(interaction_id) from marts.interactions")
    shutil.copytree(site.layout.lake, tmp_path / "lake")
    found = tracing.trace(Layout(tmp_path), interaction_id)
    assert len(found.observations) == 1
    assert found.modelled == []
    assert [file["loaded_at"] for file in found.files] == [None]
