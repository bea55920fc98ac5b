"""What a daily run costs the server where its contacts are those who were active: beside a run that
asks everybody, over the same days of the same world. Both must end with the same rows."""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from history_pipeline.model import Window
from history_pipeline.simulator.calendar_days import midnight_ms
from history_pipeline.simulator.world import World
from history_pipeline.storage import certificates, database
from history_pipeline_tests.benchmarks.races import FULL, Say, Size
from history_pipeline_tests.benchmarks.scene import ASKED_JSON, Server
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    run_days,
    settings_of,
    simulator_process,
)

CONTACTS, FEWER_CONTACTS = 100_000, 2_000
SPAN = Window(date(2026, 9, 1), date(2026, 10, 1))
DAYS = Window(date(2026, 9, 23), date(2026, 10, 1))
ACTIVE_SHARE = 0.0131
"""Of these, some have nothing all the same, and some nothing on these days: 1 % are left."""


def contacts(size: Size) -> int:
    return CONTACTS if size is FULL else FEWER_CONTACTS


def activity(size: Size, say: Say) -> dict[str, Any]:
    """Raises RuntimeError where the rows differ."""
    span = Span(SPAN.start, SPAN.end, contacts=contacts(size))
    active = _active(span)
    say(f"{active:,} of {span.contacts:,} contacts are active on {DAYS.days} days")
    found = _run(span, "activity", say)
    full = _run(span, "gws", say)
    if found["content"] != full["content"]:
        raise RuntimeError(f"the rows differ: {found['content']}, {full['content']}")
    say(f"{found['requests'] / full['requests']:.4f} of the requests")
    return {
        "contacts": span.contacts,
        "active": active,
        "days": DAYS.days,
        "found": found,
        "full": full,
    }


def _run(span: Span, source: str, say: Say) -> dict[str, Any]:
    """A server of its own, so that it counts the requests of this run alone."""
    flags = ("--active-share", str(ACTIVE_SHARE))
    with (
        simulator_process(span, *flags) as ready,
        tempfile.TemporaryDirectory(prefix="activity-") as root,
    ):
        settings = settings_of(
            environment(
                ready["url"],
                Path(root),
                GWS_CONCURRENCY="64",
                GWS_NOTIFICATION_TIMEOUT="60",
                HISTORY_CONTACTS=source,
                HISTORY_CUSTOM_ATTRIBUTES=ASKED_JSON,
            )
        )
        began = time.perf_counter()
        run_days(settings, DAYS)
        seconds = time.perf_counter() - began
        layout = open_layout(settings)
        with database.reading(layout.warehouse, layout.scratch) as connection:
            content = certificates.content_hash(connection, DAYS.start, DAYS.end)
            ((interactions,),) = connection.execute(
                "select count(*) from raw_gws.interactions"
            ).fetchall()
            ((discovery,),) = connection.execute(
                "select coalesce(sum(attempts), 0)::bigint from raw_gws.discovery_requests"
            ).fetchall()
        requests = Server(ready["url"], ready["pid"]).asked
    say(f"{source}: {requests:,} requests, {discovery} of discovery, {seconds:.0f} s")
    return {
        "requests": requests,
        "discovery": discovery,
        "interactions": interactions,
        "seconds": seconds,
        "content": content,
    }


def _active(span: Span) -> int:
    """Contacts with something of their own on these days, as the world knows."""
    world = World(
        seed=span.seed, contacts=span.contacts, start=span.start, end=span.end, zone=span.zone,
        active_share=ACTIVE_SHARE,
    )  # fmt: skip
    first, end = (midnight_ms(world.zone, day) for day in (DAYS.start, DAYS.end))
    return sum(
        any(first <= ms < end for ms in world.own_starts(index)) for index in range(world.size)
    )
