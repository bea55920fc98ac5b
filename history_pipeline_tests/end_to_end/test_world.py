"""The warehouse equals the world: every interaction and every attribute, value by value."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from history_pipeline.model import RequestState, Window
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end import oracle
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    run_days,
    settings_of,
    simulator,
)
from history_pipeline_tests.families import mostly_slow

ASKED = ["OrderNo", "orderno", "a.b", 'in "quotes"', "客户等级", "with, comma", "absent"]

AUTUMN = Span(date(2026, 10, 10), date(2026, 11, 12), seed=3)
WORLDS = {
    "Berlin, clocks go back, window of a month and more": (AUTUMN, []),
    "New York, clocks go forward": (
        Span(date(2026, 3, 1), date(2026, 3, 20), "America/New_York", seed=11),
        ["--lost-share", "0.05", "--early-share", "0.3", "--latency", "0,15"],
    ),
    "Kolkata, half an hour off; toDate left out": (
        Span(date(2026, 5, 1), date(2026, 5, 12), "Asia/Kolkata", seed=5),
        ["--to-date-excluded", "--no-ack", "--latency", "1,10"],
    ),
    "Lord Howe, half an hour of daylight saving; no CSRF": (
        Span(date(2026, 3, 28), date(2026, 4, 12), "Australia/Lord_Howe", seed=8),
        ["--no-csrf", "--errors-with-200"],
    ),
}


@pytest.mark.parametrize(("span", "flags"), mostly_slow(WORLDS.values(), quick=2), ids=WORLDS)
def test_the_warehouse_equals_the_world(span: Span, flags: list[str], tmp_path: Path) -> None:
    with simulator(span, *flags) as url:
        settings = settings_of(
            environment(url, tmp_path, span.zone, HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED))
        )
        extraction = run_days(settings, Window(span.start, span.end))
    assert extraction.account.states.keys() == {RequestState.ANSWERED}
    compare(open_layout(settings), span, span.start, span.end)


@pytest.mark.slow
def test_days_at_the_edge_are_cut_where_the_zone_says(tmp_path: Path) -> None:
    first, end = date(2026, 10, 20), date(2026, 10, 27)
    with simulator(AUTUMN) as url:
        told = environment(url, tmp_path, HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED))
        settings = settings_of({**told, "HISTORY_WINDOW_DAYS": "3"})
        run_days(settings, Window(first, end))
    compare(open_layout(settings), AUTUMN, first, end)


@pytest.mark.slow
def test_a_rerun_changes_nothing_but_when_things_were_last_seen(tmp_path: Path) -> None:
    days = Window(date(2026, 10, 10), date(2026, 10, 20))
    with simulator(AUTUMN) as url:
        settings = settings_of(
            environment(url, tmp_path, HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED))
        )
        run_days(settings, days)
        layout = open_layout(settings)
        before = content(layout)
        run_days(settings, days)
    assert content(layout) == before
    assert len(fetch(layout, "select distinct run_id from raw_gws.runs")) == 2


def test_the_contacts_that_were_active_are_enough(tmp_path: Path) -> None:
    """With HISTORY_CONTACTS=activity, fewer are asked, and nothing of these days is missing."""
    span = Span(date(2026, 10, 1), date(2026, 10, 31), seed=4, contacts=200)
    first, end = date(2026, 10, 24), date(2026, 10, 26)
    with simulator(span) as url:
        told = environment(
            url,
            tmp_path,
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
            HISTORY_CONTACTS="activity",
        )
        settings = settings_of(told)
        extraction = run_days(settings, Window(first, end))
    layout = open_layout(settings)
    compare(layout, span, first, end)
    assert {account.planned for _, each in extraction.windows for account in each} == {
        fetch(layout, "select count(*) from raw_gws.contacts")[0][0]
    }
    assert 0 < fetch(layout, "select count(*) from raw_gws.contacts")[0][0] < 150


def test_a_wrong_zone_is_noticed_and_the_likely_one_is_named(tmp_path: Path) -> None:
    span = Span(date(2026, 5, 1), date(2026, 5, 5), "Asia/Kolkata", contacts=20)
    with simulator(span) as url:
        extraction = run_days(
            settings_of(environment(url, tmp_path)), Window(date(2026, 5, 2), date(2026, 5, 4))
        )
    (warning,) = extraction.warnings
    assert "GWS_TIMEZONE=Europe/Berlin" in warning
    assert warning.endswith("a zone like Asia/Colombo or Asia/Kolkata")


@pytest.mark.slow
def test_a_giant_contact_comes_in_whole(tmp_path: Path) -> None:
    span = Span(date(2026, 10, 1), date(2026, 10, 31), contacts=3, giant=30_000)
    with simulator(span) as url:
        settings = settings_of(environment(url, tmp_path, GWS_NOTIFICATION_TIMEOUT="20"))
        run_days(settings, Window(span.start, span.end))
    layout = open_layout(settings)
    wanted = oracle.copies(
        span.world(), ZoneInfo(span.zone), span.start, span.end, ("main", "archive")
    )
    assert len(wanted) > 29_000, "all but the few that cannot be read"
    assert {row[0] for row in fetch(layout, "select interaction_id from raw_gws.interactions")} == (
        wanted.keys()
    )


def compare(layout: Layout, span: Span, start: date, end: date) -> None:
    """Asserts that the warehouse holds just what the world has on these days."""
    zone = ZoneInfo(span.zone)
    world = span.world()
    copies = oracle.copies(world, zone, start, end, ("main", "archive"))
    assert len(copies) > 100, "the world is too small to prove anything"
    held = {row["interaction_id"]: row for row in records(layout, "raw_gws.interactions")}
    assert held.keys() == copies.keys()
    attributes: dict[str, dict[str, tuple[str, str]]] = {}
    for row in records(layout, "raw_gws.interaction_attributes"):
        named = attributes.setdefault(row["interaction_id"], {})
        assert row["name"] not in named
        named[row["name"]] = (row["value"], row["value_type"])
    for interaction_id, found in copies.items():
        check_row(held[interaction_id], oracle.row(found, zone))
        assert values(attributes.pop(interaction_id, {})) == values(oracle.attributes(found, ASKED))
    assert not attributes
    rejected = fetch(layout, "select sum(rejects) from raw_gws.requests")[0][0]
    assert rejected >= oracle.unreadable(world, start, end, zone)


def check_row(held: dict[str, Any], wanted: dict[str, Any]) -> None:
    extra = json.loads(held["extra"]) if held["extra"] is not None else {}
    assert extra == wanted["extra"]
    assert held["contact_id"] in wanted["contact_ids"]
    assert held["requested_contact_id"] in wanted["requested"]
    assert held["first_seen_at"] <= held["last_seen_at"]
    compared = wanted.keys() - {"extra", "contact_ids", "requested"}
    assert {name: held[name] for name in compared} == {name: wanted[name] for name in compared}


def values(named: dict[str, tuple[str, str]]) -> dict[str, tuple[Any, str]]:
    """Texts as they are; JSON by what it says, not by its blanks."""
    return {
        name: (value if kind == "string" else json.loads(value), kind)
        for name, (value, kind) in named.items()
    }


def records(layout: Layout, table: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        result = connection.execute(f"select * from {table}")
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, values, strict=True)) for values in result.fetchall()]


def content(layout: Layout) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(
            tuple(
                (name, repr(value))
                for name, value in row.items()
                if name not in ("last_seen_at", "finished_at")
            )
            for row in records(layout, f"raw_gws.{table}")
        )
        for table in ("interactions", "interaction_attributes", "contacts", "rejects", "coverage")
    }


def fetch(layout: Layout, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(layout.warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()
