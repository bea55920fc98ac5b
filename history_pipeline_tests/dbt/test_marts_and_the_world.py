"""Every mart against what Python makes of the simulator's world, over several seeds and zones."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from history_pipeline.defs import models
from history_pipeline.model import Window
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.dbt import marts_oracle
from history_pipeline_tests.dbt.marts_oracle import Marts, Row
from history_pipeline_tests.end_to_end import oracle
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    run_days,
    settings_of,
    simulator,
)

KEYS = {
    "interactions": ("interaction_id",),
    "contacts": ("contact_id",),
    "days": ("day",),
    "daily_channel_volume": ("day", "media_type", "type_id"),
    "hourly_volume": ("hour_of_week", "media_type"),
    "backlog_daily": ("day",),
    "owner_daily": ("owner_id", "day"),
    "repeat_contacts": ("day", "within_days"),
    "channel_transitions": ("from_media_type", "to_media_type"),
}

pytestmark = pytest.mark.slow

ATTRIBUTES = {"OrderNo": "orderno", "orderno": "orderno_2", "a.b": "a_b", "客户等级": "客户等级"}
"""Names that are asked for, and the columns that they must get."""


@dataclass(frozen=True)
class Case:
    span: Span
    zone: str | None = None
    """The business zone; the server's where there is none."""


CASES = {
    "Berlin, clocks go back": Case(Span(date(2026, 10, 10), date(2026, 11, 12), seed=3)),
    "New York, clocks go forward; business in Kolkata": Case(
        Span(date(2026, 3, 1), date(2026, 3, 20), "America/New_York", seed=11, contacts=40),
        "Asia/Kolkata",
    ),
    "Kolkata; business on Lord Howe, where summer is half an hour": Case(
        Span(date(2026, 3, 28), date(2026, 4, 12), "Asia/Kolkata", seed=5, contacts=40),
        "Australia/Lord_Howe",
    ),
}


@dataclass(frozen=True)
class Site:
    """A published file, and what its marts must say."""

    layout: Layout
    wanted: Marts

    def held(self, query: str) -> list[Row]:
        with duckdb.connect(str(self.layout.published), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            result = connection.execute(query)
            names = [column[0] for column in result.description or []]
            return [dict(zip(names, values, strict=True)) for values in result.fetchall()]


@pytest.fixture(
    scope="module",
    params=[pytest.param(case, id=name) for name, case in CASES.items()],
)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Asked in two parts, the second of which the models take up incrementally."""
    case: Case = request.param
    span = case.span
    with pytest.MonkeyPatch.context() as monkeypatch, simulator(span) as url:
        told = environment(
            url,
            tmp_path_factory.mktemp("marts") / "data",
            span.zone,
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(list(ATTRIBUTES)),
            **({"HISTORY_BUSINESS_TIMEZONE": case.zone} if case.zone else {}),
        )
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        settings = settings_of(told)
        late = span.end - timedelta(days=3)
        for days in (Window(span.start, late), Window(late, span.end)):
            run_days(settings, days)
            layout = open_layout(settings)
            goes_on = models.build_flags(layout, settings) == []
            assert goes_on == (days.start == late)
            before = dict(os.environ)
            models.publish(layout, settings)
            assert dict(os.environ) == before
            assert not models._are_old(layout, settings)
        elsewhere = settings.model_copy(update={"business_timezone": "Pacific/Auckland"})
        assert models._are_old(layout, elsewhere)
        assert models.build_flags(layout, elsewhere) == ["--full-refresh"]
    yield Site(layout, wanted(case))


def wanted(case: Case) -> Marts:
    span = case.span
    server_zone, zone = ZoneInfo(span.zone), ZoneInfo(case.zone or span.zone)
    world = span.world()
    copies = oracle.copies(world, server_zone, span.start, span.end, ("main", "archive"))
    assert len(copies) > 100, "the world is too small to prove anything"
    return Marts(
        interactions=marts_oracle.interactions(copies, server_zone, zone, ATTRIBUTES),
        listed={contact.contact_id for contact in world.contacts()},
        days=list(Window(span.start, span.end)),
        server_zone=server_zone,
        zone=zone,
    )


@pytest.mark.parametrize("mart", KEYS)
def test_a_mart_says_what_the_world_says(site: Site, mart: str) -> None:
    key = KEYS[mart]
    told = {tuple(row[name] for name in key): row for row in site.wanted.rows(mart)}
    held = {tuple(row[name] for name in key): row for row in site.held(f"from marts.{mart}")}
    assert held.keys() == told.keys()
    for found, row in told.items():
        differing = {
            name: (held[found][name], value)
            for name, value in row.items()
            if not alike(held[found][name], value)
        }
        assert not differing, found


def alike(held: Any, wanted: Any) -> bool:
    if isinstance(held, float) and isinstance(wanted, (int, float)):
        return math.isclose(held, wanted, rel_tol=1e-9, abs_tol=1e-6)
    return held == wanted and type(held) is type(wanted)


def test_attributes_have_columns(site: Site) -> None:
    rows = site.held("from marts.interaction_attributes_wide")
    held = {row.pop("interaction_id"): row for row in rows}
    assert held.keys() == {each.interaction_id for each in site.wanted.interactions}
    for each in site.wanted.interactions:
        row = held[each.interaction_id]
        assert row.keys() == set(ATTRIBUTES.values())
        for name, column in ATTRIBUTES.items():
            value, kind = each.attributes.get(name, (None, "string"))
            if kind == "string":
                assert row[column] == value
            else:
                assert json.loads(row[column]) == json.loads(value or "")


def test_an_oracle_that_is_wrong_is_noticed(site: Site) -> None:
    """Of another zone, days and hours differ: the comparison could fail."""
    elsewhere = replace(site.wanted, zone=ZoneInfo("Pacific/Auckland"))
    moved = [replace(each, zone=elsewhere.zone) for each in elsewhere.interactions]
    elsewhere = replace(elsewhere, interactions=moved)
    for mart in ("hourly_volume", "backlog_daily", "daily_channel_volume"):
        assert elsewhere.rows(mart) != site.wanted.rows(mart)


def test_every_version_has_its_place(site: Site) -> None:
    rows = site.held("from marts.interactions_history where is_current")
    assert {row["interaction_id"] for row in rows} == {
        each.interaction_id for each in site.wanted.interactions
    }
