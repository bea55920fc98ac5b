"""Interactions that move from main to archive while they are asked for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from history_pipeline.simulator import ARCHIVE, MAIN, Behaviour, Simulator, World
from history_pipeline.simulator.answers import Encoded
from history_pipeline.simulator.archiver import Archiver, PerRequest, PerSecond
from history_pipeline.simulator.timeline import timeline_key
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=20, unreadable_share=0.05, archived_share=0.3)
BUSY = max(range(WORLD.size), key=lambda index: len(WORLD.own_starts(index)))
ID = WORLD.contact_id(BUSY)
NAMES = list(WORLD.attribute_names)
ALL: dict[str, Any] = {
    "fromDate": "2024-03-01",
    "toDate": "2024-04-10",
    "sort": "asc",
    "customAttributes": NAMES,
}


def readable(records: list[Any]) -> list[str]:
    return [one["id"] for one in records if isinstance(one, dict) and one.get("id")]


def truth(source: str, contact_id: str = ID) -> list[str]:
    return readable([record.payload for record in WORLD.records(contact_id, source)])


async def ids(client: PlainClient, source: str, contact_id: str = ID) -> list[str]:
    answer = await client.history(contact_id, source=source, **ALL)
    return readable(answer["interactions"])


async def test_who_asks_main_first_has_what_moves_twice() -> None:
    async with (
        Simulator(WORLD, Behaviour(archiver_per_request=5)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        main, archive = await ids(client, MAIN), await ids(client, ARCHIVE)
        assert main == truth(MAIN)
        moved = [one for one in archive if one not in truth(ARCHIVE)]
        assert len(moved) == 5 and set(moved) < set(main)
        assert server.stats.snapshot()["archived"] == 10


async def test_who_asks_archive_first_misses_what_moves() -> None:
    async with (
        Simulator(WORLD, Behaviour(archiver_per_request=5)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        archive, main = await ids(client, ARCHIVE), await ids(client, MAIN)
        assert archive == truth(ARCHIVE)
        assert len(set(truth(MAIN)) - set(main) - set(archive)) == 5


def encoded(ordinal: int, *, movable: bool = True) -> Encoded:
    start_ms = WORLD.archived_before_ms + 1000 * ordinal
    return Encoded(start_ms, "chat", b"{}", None, (BUSY, ordinal) if movable else None)


def held() -> dict[str, list[Encoded]]:
    main = [encoded(number, movable=number % 5 != 0) for number in range(20)]
    return {MAIN: main, ARCHIVE: [encoded(number, movable=False) for number in (-2, 7)]}


def archivers(now: list[float], gap: float) -> list[Archiver]:
    keys = [timeline_key(one.start_ms, BUSY) for one in held()[MAIN]]
    begins = timeline_key(WORLD.archived_before_ms, 0)
    return [
        PerRequest(3, gap, lambda: now[0]),
        PerSecond(3.0, gap, lambda: now[0], keys, begins),
    ]


@pytest.mark.parametrize("which", [0, 1], ids=["per request", "per second"])
@pytest.mark.parametrize("gap", [0.0, 2.0])
def test_at_any_moment_what_moves_is_in_one_source_or_within_the_gap_in_none(
    which: int, gap: float
) -> None:
    now = [100.0]
    archiver, records = archivers(now, gap)[which], held()
    left_at: dict[Any, float] = {}
    for _ in range(30):
        archiver.answered(records)
        main, archive = archiver.view(records, MAIN), archiver.view(records, ARCHIVE)
        assert archive == sorted(archive, key=lambda one: one.start_ms)
        for one in records[MAIN]:
            assert not (one in main and one in archive)
            if one not in main:
                assert one.origin is not None, "what may not move stays"
                moved_at = left_at.setdefault(one.origin, now[0])
                assert (one in archive) is (now[0] - moved_at >= gap)
        now[0] += 1.0
    assert len(left_at) == 16
    assert len(archiver.view(records, ARCHIVE)) == 2 + 16


def test_in_any_order_the_oldest_move_first() -> None:
    for archiver in archivers(now := [0.0], 0.0):
        records = held()
        archiver.answered(records)
        now[0] += 1.0
        left = [one for one in records[MAIN] if one not in archiver.view(records, MAIN)]
        assert left and left == [one for one in records[MAIN] if one.origin][: len(left)]


async def test_what_is_open_or_unreadable_never_moves() -> None:
    async with (
        Simulator(WORLD, Behaviour(archiver_per_request=10_000)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        await ids(client, MAIN)
        answer = await client.history(ID, source=MAIN, **ALL)
        border = WORLD.archived_before_ms / 1000
        expected = [
            record.payload
            for record in WORLD.records(ID, MAIN)
            if record.defect
            or "endDate" not in record.payload
            or record.started_at.timestamp() < border
        ]
        assert answer["interactions"] == expected != []


async def test_a_set_based_archiver_hides_what_moves_from_both_for_a_moment() -> None:
    now = 0.0
    behaviour = Behaviour(archiver_per_request=4, archiver_gap=10.0)
    simulator = Simulator(WORLD, behaviour, clock=lambda: now)
    async with simulator.serve() as server, PlainClient(server.url) as client:
        await client.open()
        before = await ids(client, MAIN)
        now = 9.0
        main, archive = await ids(client, MAIN), await ids(client, ARCHIVE)
        hidden = set(before) - set(main) - set(archive)
        assert len(hidden) == 4
        now = 10.0
        assert hidden <= set(await ids(client, ARCHIVE))
        now = 30.0
        assert set(await ids(client, MAIN)) | set(await ids(client, ARCHIVE)) >= set(before)


async def test_the_archiver_goes_over_the_world_by_the_second_oldest_first() -> None:
    now = 100.0
    simulator = Simulator(WORLD, Behaviour(archiver_per_second=2.0), clock=lambda: now)
    async with simulator.serve() as server, PlainClient(server.url) as client:
        await client.open()
        assert server.stats.snapshot()["archived"] == 0
        every = [contact.contact_id for contact in WORLD.contacts()]
        starts = sorted(
            (ms, index)
            for index in range(WORLD.size)
            for ms in set(WORLD.own_starts(index))
            if ms >= WORLD.archived_before_ms
        )
        assert [await ids(client, MAIN, one) for one in every] == [
            truth(MAIN, one) for one in every
        ]
        now += 30.0
        assert server.stats.snapshot()["archived"] == 60
        border, _ = starts[60]
        for contact_id in every:
            main = set(await ids(client, MAIN, contact_id))
            archive = set(await ids(client, ARCHIVE, contact_id))
            old = {
                record.payload["id"]
                for record in WORLD.records(contact_id, MAIN)
                if record.readable
                and WORLD.archived_before_ms / 1000 <= record.started_at.timestamp()
                and record.started_at.timestamp() * 1000 < border
                and "endDate" in record.payload
            }
            assert old <= archive and not old & main
            assert main | archive == {*truth(MAIN, contact_id), *truth(ARCHIVE, contact_id)}
        now += 1e6
        assert server.stats.snapshot()["archived"] == len(starts)


async def test_it_moves_them_for_interaction_history_too() -> None:
    now = 0.0
    simulator = Simulator(WORLD, Behaviour(archiver_per_second=1.0), clock=lambda: now)
    async with simulator.serve() as server, PlainClient(server.url) as client:
        await client.open()

        async def across(source: str) -> set[str]:
            body = {"operationName": "RetrieveInteractionHistory", "maxSize": 100_000}
            await client.post("/api/v2/ucs/interactions", body | ALL | {"source": source})
            [answer] = await client.notifications()
            return set(readable(answer["interactions"]))

        main, archive = await across(MAIN), await across(ARCHIVE)
        await ids(client, MAIN)
        now = 50.0
        later, come = await across(MAIN), await across(ARCHIVE)
        assert main - later == come - archive and 30 < len(main - later) <= 60


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_it_begins_where_the_archive_ends(share: float) -> None:
    world = World(contacts=5, archived_share=share, start=date(2024, 3, 4), end=date(2024, 3, 9))
    now = 0.0
    behaviour = Behaviour(archiver_per_second=1000.0)
    simulator = Simulator(world, behaviour, clock=lambda: now)
    async with simulator.serve() as server, PlainClient(server.url) as client:
        await client.open()
        await client.history(world.contact_id(1), **ALL)
        now = 60.0
        everything = sum(len(set(world.own_starts(index))) for index in range(5))
        assert server.stats.snapshot()["archived"] == (0 if share else everything)
