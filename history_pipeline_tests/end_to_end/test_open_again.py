"""Daily runs over simulated weeks: what was open is asked again at ages that grow by a quarter, so
a late end is known within 25 % of the age at which it came, for 5 % more requests at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from history_pipeline.contacts import reading
from history_pipeline.history.asking_again import AskedAgain
from history_pipeline.history.extraction import Extraction, extract
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline.simulator import Behaviour, Changes, RunningSimulator, Simulator, World
from history_pipeline.storage import parts, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    PASSWORD,
    USERNAME,
    environment,
    open_layout,
    rows,
    settings_of,
)

BERLIN = ZoneInfo("Europe/Berlin")
START = date(2026, 1, 5)
LOOKBACK = 7


@dataclass
class Site:
    """A server whose wall clock we set, and a data directory that is filled from it day by day."""

    world: World
    behaviour: Behaviour
    settings: Settings
    running: RunningSimulator
    wall: list[float]
    known_ends: dict[str, datetime] = field(default_factory=dict)
    planned: int = 0
    again: list[AskedAgain] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return open_layout(self.settings)

    @property
    def changes(self) -> Changes:
        return Changes(self.world, self.behaviour, lambda: self.wall[0])

    def at(self, day: date, hour: int = 4) -> datetime:
        """The moment of a run on a day; the server's clock says the same from then on."""
        moment = datetime.combine(day, time(hour), BERLIN).astimezone(UTC)
        self.wall[0] = moment.timestamp()
        return moment

    async def ask(self, day: date, lookback: int = LOOKBACK, hour: int = 4) -> Extraction:
        """What the daily run does short of loading."""
        moment = self.at(day, hour)
        start = max(START, day - timedelta(days=lookback))
        reading.read(self.settings, self.layout, moment)
        return await extract(self.settings, self.layout, Window(start, day), now=lambda: moment)

    async def daily(self, day: date, lookback: int = LOOKBACK, hour: int = 4) -> Extraction:
        extraction = await self.ask(day, lookback, hour)
        self.load(day)
        self.planned += sum(a.planned for _, each in extraction.windows for a in each)
        if extraction.again is not None:
            self.again.append(extraction.again)
        return extraction

    def load(self, day: date) -> None:
        moment = self.at(day)
        warehouse.load(self.layout, moment)
        for (interaction_id,) in self.rows(
            "select interaction_id from raw_gws.interactions where ended_at is not null"
        ):
            self.known_ends.setdefault(interaction_id, moment)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.layout, query)

    def asked(self) -> int:
        """Requests for history that the server has seen."""
        return int(self.running.stats.snapshot()["historyRequests"])

    def paced(self, rate: float) -> Site:
        """The same, with so many requests a second."""
        told = self.settings.model_copy(update={"requests_per_second": rate})
        return replace(self, settings=told)

    def contacts_of_open(self) -> dict[str, str]:
        return dict(
            self.rows(
                "select interaction_id, contact_id from raw_gws.interactions where ended_at is null"
            )
        )

    def holders(self, interaction_ids: Iterable[str]) -> dict[str, str]:
        """Whose the server says that these are by now."""
        told = {
            placed.copies[0][1]["id"]: placed.copies[0][1]["contactId"]
            for index in range(self.world.size)
            for placed in self.changes.own_history(index)
        }
        return {each: told[each] for each in interaction_ids}

    def coverage(self, before: date) -> list[tuple[Any, ...]]:
        return self.rows(
            "select contact_id, source, span_start, least(span_end, date '"
            + before.isoformat()
            + "'), state from raw_gws.coverage where span_start < date '"
            + before.isoformat()
            + "' order by all"
        )

    def asked_twice(self) -> int:
        """Requests for what was open that one day's runs have sent more than once."""
        ((twice,),) = self.rows(
            "select count(*) - count(distinct (contact_id, window_start, source)) "
            "from raw_gws.requests anti join raw_gws.run_scopes using (run_id)"
        )
        return int(twice)

    def late_ends(self, before: date) -> dict[str, tuple[datetime, datetime]]:
        """Start and end of what started before a day and ends late, by interaction id."""
        found = {}
        for index in range(self.world.size):
            for placed in self.world.own_history(index):
                ends = self.changes.ends_ms(placed)
                started = datetime.fromtimestamp(placed.start_ms / 1000, UTC)
                if ends is not None and started.astimezone(BERLIN).date() < before:
                    ended = datetime.fromtimestamp(ends / 1000, UTC)
                    found[placed.copies[0][1]["id"]] = (started, ended)
        return found


@asynccontextmanager
async def site(
    root: Path, contacts: int = 60, weeks: int = 2, per_contact: float = 2.0, **switches: Any
) -> AsyncIterator[Site]:
    world = World(
        contacts=contacts,
        start=START,
        end=START + timedelta(weeks=weeks),
        interactions_per_contact=per_contact,
        archived_share=0.0,
        unreadable_share=0.0,
    )
    (root / "ids.csv").write_text(
        "\n".join(["contact_id", *(each.contact_id for each in world.contacts())])
    )
    behaviour = Behaviour(username=USERNAME, password=PASSWORD, **switches)
    wall = [0.0]
    async with Simulator(
        world,
        behaviour,
        wall=lambda: wall[0],
        today=lambda: datetime.fromtimestamp(wall[0], BERLIN).date(),
    ).serve() as running:
        told = environment(running.url, root / "data", HISTORY_CONTACTS=f"file:{root / 'ids.csv'}")
        settings = settings_of({**told, "GWS_NOTIFICATION_TIMEOUT": "30"})
        yield Site(world, behaviour, settings, running, wall)


async def weeks_pass(there: Site, days: int) -> None:
    """Daily runs, and what must hold of them."""
    for n in range(1, days + 1):
        await there.daily(START + timedelta(days=n))
    late = there.late_ends(there.world.end)
    assert len(late) > 5, "the world is too small to prove anything"
    for interaction_id, (started, ended) in late.items():
        assert there.known_ends[interaction_id] - started <= 1.25 * (ended - started)
    more = sum(again.requests for again in there.again)
    assert 0 < more <= 0.05 * there.planned
    assert sum(again.closed for again in there.again) == len(late)
    assert there.asked() == there.planned + more
    assert [again.requests for again in there.again[-4:]] == [0] * 4, "nothing is open"
    assert there.rows(
        "select count(*) - count(distinct interaction_id) from raw_gws.interactions"
    ) == [(0,)]


@pytest.mark.slow
async def test_a_late_end_is_known_within_a_quarter_of_its_age(tmp_path: Path) -> None:
    ends = {"ends_late_share": 1.0, "ends_late_days": (8.0, 14.0)}
    async with site(tmp_path, weeks=1, per_contact=1.5, **ends) as there:
        await weeks_pass(there, 26)


@pytest.mark.slow
async def test_so_it_is_over_months_and_where_the_archiver_has_been_at_it(tmp_path: Path) -> None:
    ends = {"ends_late_share": 1.0, "ends_late_days": (8.0, 40.0), "late_archived_days": 2.5}
    async with site(tmp_path, **ends) as there:
        await weeks_pass(there, 74)
    archived = there.rows("select count(*) from raw_gws.interactions where source = 'archive'")
    assert archived > [(0,)], "some were in archive alone when they were asked again"


@pytest.mark.slow
async def test_what_never_ends_fades_and_what_there_is_no_room_for_comes_next_time(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, contacts=40, per_contact=6.0) as there:
        first, second = START + timedelta(days=14), START + timedelta(days=20)
        await there.daily(first, lookback=14)
        for n in range(4):
            await there.daily(second + timedelta(days=n))
    assert [again.requests for again in there.again] == [4, 4, 4, 4], "a twentieth of 80"
    left = [again.left or 0 for again in there.again]
    assert min(left) > 0, "not all of them have room"
    assert sum(again.closed for again in there.again) == 0
    assert there.asked_twice() == 0, "what had no room comes next time, and nothing else"


@pytest.mark.slow
async def test_who_reruns_old_days_or_the_same_ones_asks_for_nothing_else(tmp_path: Path) -> None:
    async with site(tmp_path, contacts=40, per_contact=4.0) as there:
        await there.daily(START + timedelta(days=14), lookback=14)
        day = START + timedelta(days=24)
        moment = there.at(day)
        old = Window(START + timedelta(days=10), START + timedelta(days=11))
        rerun = await extract(there.settings, there.layout, old, now=lambda: moment)
        assert rerun.again is None
        asked = await there.daily(day)
        assert asked.again is not None and asked.again.requests == 4
        for hour in (5, 6, 7):
            rerun = await there.daily(day, hour=hour)
            assert rerun.again is not None and rerun.again.requests <= 4
        assert there.asked_twice() == 0, "what has just been asked is not due"


@pytest.mark.slow
async def test_contacts_that_were_merged_end_with_one_row_and_the_newest_contact(
    tmp_path: Path,
) -> None:
    """Long after the lookback, where nothing but what is open is asked again."""
    merging = {"merged_later_share": 0.5, "merged_later_days": (16.0, 20.0)}
    async with site(tmp_path, contacts=120, per_contact=1.5, **merging) as there:
        await there.daily(START + timedelta(days=14), lookback=14)
        before = there.contacts_of_open()
        for n in range(22, 27):
            await there.daily(START + timedelta(days=n))
        now = there.contacts_of_open()
        assert there.again[-1].left == 0
        assert len(now) == len(before) > 5
        assert now == there.holders(now)
        changed = [each for each in now if now[each] != before[each]]
        assert len(changed) > 2, "the world is too small to prove anything"


@pytest.mark.slow
async def test_interactions_that_were_reassigned_end_with_one_row_and_the_newest_contact(
    tmp_path: Path,
) -> None:
    going = {"reassigned_share": 0.3, "reassigned_days": (0.5, 5.0), "ends_late_share": 0.5}
    async with site(tmp_path, contacts=40, weeks=1, per_contact=4.0, **going) as there:
        for n in (3, 5, 7, 9, 12):
            await there.daily(START + timedelta(days=n), lookback=14)
        held = dict(there.rows("select interaction_id, contact_id from raw_gws.interactions"))
        ((count,),) = there.rows("select count(*) from raw_gws.interactions")
        assert count == len(held) > 100
        assert held == there.holders(held)
        ((moved,),) = there.rows(
            "select count(distinct interaction_id) from raw_gws.interaction_versions as old "
            "join raw_gws.interactions as held using (interaction_id) "
            "where old.contact_id <> held.contact_id"
        )
        assert moved > 10, "the world is too small to prove anything"


@pytest.mark.slow
async def test_contacts_that_are_gone_spoil_neither_the_run_nor_its_days(tmp_path: Path) -> None:
    merging = {
        "merged_later_share": 0.5,
        "merged_later_days": (15.0, 16.0),
        "merged_ids_unknown": True,
    }
    async with site(tmp_path, contacts=60, per_contact=2.0, **merging) as there:
        await there.daily(START + timedelta(days=14), lookback=14)
        standing = there.coverage(before=START + timedelta(days=14))
        for n in (22, 23, 24, 25):
            extraction = await there.daily(START + timedelta(days=n))
            assert extraction.again is not None and extraction.again.failed == 0
        gone = there.rows("select sum(gone) from raw_gws.runs where window_end <= '2026-01-19'")
        assert gone > [(0,)], "contacts that were asked again are gone"
        assert there.coverage(before=START + timedelta(days=14)) == standing


@pytest.mark.slow
async def test_a_run_that_was_broken_off_goes_on_with_what_it_had_chosen(tmp_path: Path) -> None:
    async with site(tmp_path, contacts=200, per_contact=1.0) as there:
        await there.daily(START + timedelta(days=14), lookback=14)
        day = START + timedelta(days=24)
        before = there.asked()
        asking = asyncio.create_task(there.paced(30).ask(day))
        while there.asked() - before < 2 * there.world.size + 5:
            assert not asking.done()
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait({asking})
        await asyncio.sleep(0.2)  # what is on its way to the server arrives
        (plan,) = there.layout.attempts.glob("*/plan.parquet")
        chosen = pq.read_table(plan).num_rows
        settled = sum(parts.settled(each).num_rows for each in plan.parent.glob("parts/*"))
        assert 0 < settled < chosen
        before = there.asked()
        gone_on = await there.daily(day)
        asked = there.asked() - before
        assert asked == chosen - settled, "neither its own days nor what had come is asked anew"
        assert gone_on.again is not None and gone_on.again.requests == chosen
        assert there.rows(
            "select sum(planned), sum(answered) from raw_gws.runs "
            f"where run_id = '{gone_on.again.run_id}'"
        ) == [(chosen, chosen)]
        assert not list(there.layout.attempts.glob("*/plan.parquet")), "both are finished"
