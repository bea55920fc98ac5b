"""`marts.data_completeness` against a count that explodes every span into its days."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from history_pipeline.storage import warehouse_checks

DAY_ZERO = date(2024, 2, 20)  # a leap day lies in between
SOURCES = ("main", "archive")
SETTLED = {"answered", "unavailable", "gone"}
OLD, NEW = datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC)


def day(number: int) -> date:
    return DAY_ZERO + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Span:
    """Days are numbers from DAY_ZERO; `end` is out."""

    contact_id: str
    source: str
    start: int
    end: int
    state: str = "answered"
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    start: int
    end: int
    contact_source: str = "activity"
    is_whole: bool = True
    is_discovery_complete: bool = True
    sources: tuple[str, ...] = ("main", "archive")


@dataclass(frozen=True, slots=True)
class Reject:
    source: str
    start: int
    is_resolved: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """`contacts` maps an id to whether the newest list names it."""

    contacts: dict[str, bool] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


def fill(connection: duckdb.DuckDBPyConnection, world: World) -> None:
    def insert(table: str, rows: list[tuple[object, ...]]) -> None:
        if rows:
            marks = ", ".join("?" for _ in rows[0])
            connection.executemany(f"insert into raw_gws.{table} values ({marks})", rows)

    insert("contacts", [(c, "{}", OLD, NEW if new else OLD) for c, new in world.contacts.items()])
    insert(
        "coverage",
        [
            (s.contact_id, s.source, day(s.start), day(s.end), s.state, s.is_whole, NEW)
            for s in world.spans
        ],
    )
    insert(
        "run_scopes",
        [
            (
                *(f"run{n}", day(s.start), day(s.end), s.contact_source),
                *(s.is_whole, s.is_discovery_complete, "[]", "UTC", NEW),
            )
            for n, s in enumerate(world.scopes)
        ],
    )
    insert(
        "runs",
        [
            (f"run{n}", day(s.start), day(s.end), source, *[0] * 7, "print", NEW, NEW)
            for n, s in enumerate(world.scopes)
            for source in s.sources
        ],
    )
    insert(
        "rejects",
        [
            (
                *(f"r{n}", "no id", "c0", day(r.start), r.source, "{}"),
                *(NEW, NEW if r.is_resolved else None),
            )
            for n, r in enumerate(world.rejects)
        ],
    )


def counted_one_by_one(world: World) -> Iterator[tuple[object, ...]]:
    # where no contact has the newer moment, the older one is the newest
    newest = any(world.contacts.values())
    listed = {c for c, is_new in world.contacts.items() if is_new == newest}
    for number in range(-5, 60):
        for source in sorted(SOURCES):
            here = [s for s in world.spans if s.source == source and s.start <= number < s.end]
            states = [s.state for s in here]
            scopes = [s for s in world.scopes if s.start <= number < s.end and source in s.sources]
            found = [s for s in scopes if s.contact_source == "activity"]
            discovered = any(s.is_whole and s.is_discovery_complete for s in found)
            nobody_knows = bool(found) and len(found) == len(scopes)
            if not here and not discovered:
                continue
            settled = {s.contact_id for s in here if s.state in SETTLED}
            yield (
                day(number),
                source,
                len(here),
                *(states.count(s) for s in ("answered", "unavailable", "gone", "failed")),
                sum(
                    r.source == source and r.start == number and not r.is_resolved
                    for r in world.rejects
                ),
                "failed" not in states
                and all(s.is_whole for s in here)
                and (discovered or (not nobody_knows and listed <= settled)),
            )


def random_world(seed: int) -> World:
    dice = random.Random(seed)
    ids = [f"c{n}" for n in range(dice.randint(1, 6))]
    share_listed = dice.choice((1.0, 1.0, 0.5, 0.0))
    share_bad, share_narrow, share_gap = (dice.choice((0.0, 0.03, 0.3)) for _ in range(3))
    spans = []
    for contact_id in [*ids, "never listed"]:
        for source in SOURCES:
            start = dice.choice((0, 0, dice.randint(0, 5)))
            while start < 30:
                end = start + dice.randint(1, 12)
                if dice.random() >= share_gap:
                    state = "failed" if dice.random() < share_bad else dice.choice(sorted(SETTLED))
                    whole = dice.random() >= share_narrow
                    spans.append(Span(contact_id, source, start, end, state, whole))
                start = end
    scopes = [
        Scope(
            start := dice.randint(-3, 35),
            start + dice.randint(1, 10),
            dice.choice(("activity", "activity", "gws", "file")),
            dice.random() < 0.8,
            dice.random() < 0.8,
            dice.choice((("main",), ("archive",), ("main", "archive"))),
        )
        for _ in range(dice.randint(0, 4))
    ]
    rejects = [
        Reject(dice.choice(SOURCES), dice.randint(0, 40), dice.random() < 0.3)
        for _ in range(dice.randint(0, 6))
    ]
    contacts = {c: dice.random() < share_listed for c in ids}
    dice.shuffle(spans)
    return World(contacts, spans, scopes, rejects)


@pytest.mark.slow
def test_the_sweep_counts_as_counting_one_by_one_does(
    models: duckdb.DuckDBPyConnection, completeness_sql: str
) -> None:
    verdicts = []
    yesterday = day(33)
    for seed in range(60):
        world = random_world(seed)
        models.execute("begin")
        fill(models, world)
        found = models.sql(completeness_sql).fetchall()
        first = warehouse_checks.first_incomplete(models, yesterday)
        models.execute("rollback")
        assert found == list(counted_one_by_one(world)), f"seed {seed}"
        assert first == first_incomplete(found, yesterday), f"seed {seed}"
        verdicts += [row[-1] for row in found]
    assert 0.1 < sum(verdicts) / len(verdicts) < 0.9, "the worlds should show both verdicts"


def first_incomplete(rows: list[tuple[Any, ...]], yesterday: date) -> date | None:
    """The same from the mart, as the schedule and the freshness check must tell it."""
    missing = set()
    for source in SOURCES:
        complete = {row[0]: row[-1] for row in rows if row[1] == source}
        first = min(complete, default=yesterday + timedelta(days=1))
        days = (first + timedelta(days=n) for n in range((yesterday - first).days + 1))
        missing |= {each for each in days if not complete.get(each)}
    return min(missing, default=None)


TWO_LISTED = {"c1": True, "c2": True}
BOTH_ANSWERED = [Span("c1", "main", 0, 1), Span("c2", "main", 0, 1)]


@pytest.mark.parametrize(
    ("world", "verdict"),
    [
        pytest.param(World(TWO_LISTED, BOTH_ANSWERED), True, id="all answered"),
        pytest.param(
            World(TWO_LISTED, [Span("c1", "main", 0, 1, "gone"), BOTH_ANSWERED[1]]),
            True,
            id="gone counts as complete",
        ),
        pytest.param(
            World(TWO_LISTED, [Span(c, "main", 0, 1, "unavailable") for c in TWO_LISTED]),
            True,
            id="unavailable counts as complete",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED, rejects=[Reject("main", 0)]),
            True,
            id="rejects leave a day complete",
        ),
        pytest.param(
            World(TWO_LISTED, [*BOTH_ANSWERED, Span("c3", "main", 0, 1, "failed")]),
            False,
            id="a failure counts, listed or not",
        ),
        pytest.param(
            World(TWO_LISTED, [BOTH_ANSWERED[0], Span("c2", "main", 0, 1, is_whole=False)]),
            False,
            id="a narrowed answer marks nothing complete",
        ),
        pytest.param(
            World(TWO_LISTED | {"c3": True}, BOTH_ANSWERED),
            False,
            id="a contact that entered the list has to be asked",
        ),
        pytest.param(
            World(TWO_LISTED | {"c3": False}, BOTH_ANSWERED),
            True,
            id="a contact that left the list has not",
        ),
        pytest.param(
            World(TWO_LISTED, [BOTH_ANSWERED[0], Span("c3", "main", 0, 1)]),
            False,
            id="as many answers as listed contacts are not enough",
        ),
        pytest.param(
            World(TWO_LISTED, [BOTH_ANSWERED[0], Span("c2", "archive", 0, 1)]),
            False,
            id="the other source's answer is not enough",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED[:1], [Scope(0, 1)]),
            True,
            id="a complete discovery vouches for the contacts that it did not find",
        ),
        pytest.param(
            World(TWO_LISTED, [], [Scope(0, 1)]),
            True,
            id="a complete discovery that found nobody leaves nothing to ask",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED[:1], [Scope(1, 2), Scope(-1, 0)]),
            False,
            id="a discovery of other days does not",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED[:1], [Scope(0, 1, is_discovery_complete=False)]),
            False,
            id="a discovery that was cut does not",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED, [Scope(0, 1, is_discovery_complete=False)]),
            False,
            id="the list of another day's discovery does not make up for one that was cut",
        ),
        pytest.param(
            World(
                TWO_LISTED,
                BOTH_ANSWERED,
                [Scope(0, 1, is_discovery_complete=False), Scope(0, 1, "file")],
            ),
            True,
            id="a list of all contacts makes up for a discovery that was cut",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED[:1], [Scope(0, 1, is_whole=False)]),
            False,
            id="a narrowed discovery does not",
        ),
        pytest.param(
            World(TWO_LISTED, BOTH_ANSWERED[:1], [Scope(0, 1, "gws")]),
            False,
            id="a list of contacts is no discovery",
        ),
        pytest.param(
            World(TWO_LISTED, [Span("c1", "main", 0, 1, "failed")], [Scope(0, 1)]),
            False,
            id="discovery excuses no failure",
        ),
    ],
)
def test_a_day_is_complete_when_everyone_listed_is_settled(
    models: duckdb.DuckDBPyConnection, completeness_sql: str, world: World, verdict: bool
) -> None:
    fill(models, world)
    found = models.sql(
        f"select is_complete from ({completeness_sql}) where source = 'main' and day = ?",
        params=[day(0)],
    ).fetchall()
    assert found == [(verdict,)]


def test_a_day_between_two_backfills_has_no_row(
    models: duckdb.DuckDBPyConnection, completeness_sql: str
) -> None:
    fill(models, World({"c1": True}, [Span("c1", "main", 0, 2), Span("c1", "main", 4, 5)]))
    found = models.sql(f"select day from ({completeness_sql})").fetchall()
    assert found == [(day(0),), (day(1),), (day(4),)]


def test_ten_years_of_100_000_contacts_fit_into_a_small_memory(
    models: duckdb.DuckDBPyConnection, completeness_sql: str
) -> None:
    # 730 million days of contacts, 600,000 spans
    models.execute("set threads = 2")
    models.execute("set memory_limit = '400MB'")
    models.execute("set max_temp_directory_size = '0B'")
    models.execute(
        "insert into raw_gws.contacts select 'c' || i, '{}', $1, $1 from range(100_000) t(i)", [NEW]
    )
    models.execute(
        """
        insert into raw_gws.coverage
        select
            'c' || i, source, date '2014-01-01' + edges[part], date '2014-01-01' + edges[part + 1],
            'answered', true, $1
        from
            (select i, [0, 1 + i % 1800, 1850 + i % 1700, 3652]::integer[] as edges
                from range(100_000) t(i)),
            (values ('main'), ('archive')) s(source),
            range(1, 4) p(part)
        """,
        [NEW],
    )
    found = models.sql(
        f"""
        select count(*), min(day), max(day), min(requests_answered), max(requests_planned),
            bool_and(is_complete)
        from ({completeness_sql})
        """
    ).fetchall()
    assert found == [(2 * 3652, date(2014, 1, 1), date(2023, 12, 31), 100_000, 100_000, True)]
