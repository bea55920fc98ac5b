"""What holds whatever comes, in whatever order: from records to the warehouse's tables."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from history_pipeline.history.flatten import Flattener
from history_pipeline.history.plan import windows
from history_pipeline.model import Window
from history_pipeline.storage import forgetting, forgotten, parts, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import LEDGER
from history_pipeline_tests.history.answers import RUN_AT, WINDOW, answered, record
from history_pipeline_tests.history.test_flatten import FIELDS, JSON, readable
from history_pipeline_tests.history.test_instants import ZONES
from history_pipeline_tests.storage.lake import (
    BOTH,
    MAY,
    NOON,
    Lake,
    Row,
    content,
    ledger_row,
    observation,
    write_part,
)

few = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""Each example goes through Parquet and DuckDB, which takes a good part of a second."""


# -- windows --------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.sampled_from(ZONES),
    st.dates(date(2005, 1, 1), date(2035, 1, 1)),
    st.integers(1, 120),
    st.integers(1, 40),
    st.data(),
)
def test_every_instant_of_a_span_lands_in_one_window_across_clock_changes(
    zone: str, first: date, days: int, longest: int, draw: st.DataObject
) -> None:
    span = Window(first, first + timedelta(days=days))
    begin, end = (
        datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for day in (span.start, span.end)
    )
    moment = draw.draw(
        st.datetimes(begin.replace(tzinfo=None), end.replace(tzinfo=None)).filter(
            lambda drawn: begin <= drawn.replace(tzinfo=UTC) < end
        )
    )
    text = moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"
    flattener = Flattener(ZoneInfo(zone))
    landed = 0
    for window in windows(span, longest):
        answers = [answered(record(startDate=text), window=window)]
        landed += flattener.flatten(answers, run_at=0, asked=()).landed[0]
    assert landed == 1


# -- any order, any number of times ---------------------------------------------------------------

STATES = st.sampled_from(["New", "Routed", "Stopped"])


@st.composite
def answers(draw: st.DrawFn) -> list[list[Row]]:
    """What one run was answered, by window and source; an interaction can be in both."""
    rows = []
    for name in draw(st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True)):
        for source in draw(st.sets(st.sampled_from(["main", "archive"]), min_size=1)):
            ended = {"ended_at": NOON} if draw(st.booleans()) else {}
            rows.append([
                observation(
                    name, source=source, state=draw(STATES), attributes={"OrderNo": draw(STATES)},
                    asked=["OrderNo"], window_date=date(2024, 5, draw(st.integers(1, 2))), **ended,
                )
            ])  # fmt: skip
    return rows


@pytest.mark.slow
@few
@given(answers(), st.data())
def test_any_order_and_number_of_the_same_answers_gives_the_same_warehouse(
    tmp_path_factory: pytest.TempPathFactory, found: list[list[Row]], draw: st.DataObject
) -> None:
    shuffled = draw.draw(st.permutations(found))
    doubled = [answer for answer in shuffled for _ in range(draw.draw(st.integers(1, 3)))]
    assert loaded(tmp_path_factory.mktemp("shuffled"), doubled) == loaded(
        tmp_path_factory.mktemp("once"), found
    )


def loaded(root: Path, found: list[list[Row]]) -> dict[str, list[str]]:
    """The warehouse after one run that wrote each answer into a part of its own."""
    lake = Lake(Layout(root))
    attempt = lake.start()
    ledger = [ledger_row("c1", source) for source in BOTH]
    for rows in found:
        write_part(attempt, MAY, rows=rows, ledger=ledger)
    lake.compact(attempt)
    lake.load()
    return content(lake)


# -- any JSON at all ------------------------------------------------------------------------------

RECORDS = st.lists(
    JSON
    | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), JSON).map(
        lambda fields: record("i") | fields
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.slow
@few
@given(RECORDS)
def test_any_json_is_in_the_warehouse_or_among_its_rejects_and_touches_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, found: list[Any]
) -> None:
    lake = Lake(Layout(tmp_path_factory.mktemp("any")))
    numbered = [
        one | {"id": f"{number}"} if readable(one) else one for number, one in enumerate(found)
    ]
    flattened = Flattener(ZoneInfo("Europe/Berlin")).flatten(
        [answered(record("before"), *numbered, record("after"))], run_at=RUN_AT, asked=()
    )
    assert flattened.landed[0] + flattened.rejected[0] == len(found) + 2
    attempt = lake.start(days=WINDOW)
    parts.write(
        attempt.window_directory(WINDOW),
        1,
        flattened.observations,
        flattened.rejects,
        pa.Table.from_pylist([ledger_row("c1", each, window=WINDOW) for each in BOTH], LEDGER),
    )
    lake.compact(attempt, WINDOW)
    lake.load()
    ids = {row["interaction_id"] for row in lake.table("interactions")}
    wanted = {one["id"] for one in numbered if readable(one)}
    assert {"before", "after"} | wanted <= ids
    payloads = {row["payload"] for row in lake.table("rejects")}
    assert len(payloads) <= flattened.rejected[0]
    for one in numbered:
        if not isinstance(one, dict):
            assert json.dumps(one) in payloads


# -- forget and rebuild ---------------------------------------------------------------------------

PEOPLE = ("c1", "c2", "c3")


@st.composite
def histories(draw: st.DrawFn) -> list[list[Row]]:
    """Runs that see interactions change hands, days and names asked for."""
    runs = []
    for run in range(draw(st.integers(1, 4))):
        names = draw(st.lists(st.sampled_from("ab"), unique=True, min_size=1))
        runs.append(
            [
                observation(
                    name,
                    run=run,
                    contact_id=draw(st.sampled_from([*PEOPLE, None])),
                    requested_contact_id=draw(st.sampled_from(PEOPLE)),
                    state=draw(STATES),
                    asked=draw(st.sampled_from([(), ("OrderNo",)])),
                    window_date=date(2024, 5, draw(st.integers(1, 2))),
                )
                for name in names
            ]
        )
    return runs


@pytest.mark.slow
@few
@given(histories(), st.sampled_from(PEOPLE))
def test_forget_and_rebuild_commute(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[Row]], who: str
) -> None:
    first, second = (Lake(Layout(tmp_path_factory.mktemp(name))) for name in ("first", "second"))
    for lake in (first, second):
        for run, rows in enumerate(runs):
            lake.run(rows, run=run, contacts=PEOPLE)
            lake.load(run)
    forgetting.forget(first.layout, who)
    warehouse.rebuild(first.layout, NOON)
    warehouse.rebuild(second.layout, NOON)
    forgetting.forget(second.layout, who)
    warehouse.rebuild(second.layout, NOON)
    assert content(first) == content(second)
    assert who in forgotten.read(first.layout)
    assert f"'{who}'" not in repr(content(first))
