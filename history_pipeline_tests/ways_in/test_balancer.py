"""A sticky balancer in front of two nodes: a client stays with one, and when that one dies, the
other answers everything that is left."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from history_pipeline.history.extraction import Extraction
from history_pipeline.model import RequestState, Window
from history_pipeline.settings import Settings
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import Span, open_layout, rows, run_days
from history_pipeline_tests.end_to_end.test_world import ASKED, compare
from history_pipeline_tests.ways_in.asking import settings
from history_pipeline_tests.ways_in.balancer import (
    BY_ROUTE,
    BY_SESSION,
    NGINX,
    Balanced,
    Node,
    balanced,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nginx,
    pytest.mark.skipif(NGINX is None, reason="no nginx on the PATH or in /usr/sbin"),
]

SPAN = Span(date(2026, 10, 1), date(2026, 10, 6), seed=9, contacts=50)
DAYS = Window(SPAN.start, SPAN.end)
PLANNED = SPAN.contacts * 2
KILLED_AT = 30
SLOWLY = ("--latency", "30,90")
"""So that several answers are outstanding when a node is killed."""


def paced(url: str, data_dir: Path, a_second: int = 40) -> Settings:
    return settings(
        url,
        data_dir,
        GWS_CONCURRENCY=8,
        GWS_REQUESTS_PER_SECOND=a_second,
        GWS_NOTIFICATION_TIMEOUT=30,
        HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
    )


@dataclass(frozen=True, slots=True)
class Moment:
    """What both nodes had seen just before one of them was killed."""

    killed: dict[str, Any]
    other: dict[str, Any]


def kill_who_answers(site: Balanced, run: Future[Extraction]) -> tuple[Moment, Node]:
    """Kills the node that the run asks, once it has accepted some; returns the other one."""
    one, two = site.nodes
    while True:
        assert not run.done(), run.exception()
        seen = [(node, node.stats()) for node in (one, two)]
        (idle, its), (busy, most) = sorted(seen, key=lambda each: accepted(each[1]))
        if accepted(most) >= KILLED_AT:
            busy.kill()
            return Moment(most, its), idle
        time.sleep(0.05)


def accepted(stats: dict[str, Any]) -> int:
    return int(stats["acceptedRequests"])


@pytest.mark.parametrize(
    "sticky",
    [
        pytest.param(BY_SESSION, id="the server's own cookie"),
        pytest.param(BY_ROUTE, id="a cookie of the balancer's"),
    ],
)
def test_a_node_that_is_killed_loses_nothing(sticky: str, tmp_path: Path) -> None:
    with balanced(SPAN, sticky, tmp_path / "nginx", *SLOWLY) as site:
        found = paced(site.url, tmp_path / "disturbed")
        with ThreadPoolExecutor(1) as thread:
            run = thread.submit(run_days, found, DAYS)
            moment, survivor = kill_who_answers(site, run)
            extraction = run.result()
        calm = paced(survivor.url, tmp_path / "calm", a_second=0)
        asked = survivor.stats()
        run_days(calm, DAYS)
    # REST and CometD had been on one node, which knew every session that it was shown
    assert KILLED_AT <= accepted(moment.killed) < PLANNED
    assert moment.killed["rejectedByStatus"] == moment.other["rejectedByStatus"] == {}
    assert moment.killed["operations"]["/meta/connect"] > 0
    assert "/meta/handshake" not in moment.other["operations"]
    assert accepted(moment.other) == 0
    # all that was left was answered by the other, and every request once
    assert extraction.account.states == {RequestState.ANSWERED: PLANNED}
    assert accepted(asked) >= PLANNED - accepted(moment.killed)
    ledger = "select count(*), count(distinct (contact_id, source)) from raw_gws.requests"
    assert rows(open_layout(found), ledger) == [(PLANNED, PLANNED)]
    compare(open_layout(found), SPAN, SPAN.start, SPAN.end)
    assert content(open_layout(found)) == content(open_layout(calm))


def content(layout: Layout) -> list[list[tuple[Any, ...]]]:
    """Every row but for when it was seen."""
    seen = "exclude (first_seen_at, last_seen_at)"
    return [
        rows(layout, f"select * {seen} from raw_gws.interactions order by interaction_id"),
        rows(layout, "select * from raw_gws.interaction_attributes order by all"),
    ]
