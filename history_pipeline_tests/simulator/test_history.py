"""History requests over real HTTP, compared with the world value by value."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from history_pipeline.simulator import ARCHIVE, MAIN, Behaviour, Record, Simulator, World
from history_pipeline_tests.simulator.plain_client import PlainClient

pytestmark = pytest.mark.asyncio

WORLD = World(contacts=60, unreadable_share=0.05)
LANDMARKS, MERGED_WINNER = WORLD.contact_id(1), WORLD.contact_id(10)
NAMES = list(WORLD.attribute_names)
ALL: dict[str, Any] = {
    "fromDate": "2024-03-01",
    "toDate": "2024-04-10",
    "sort": "asc",
    "customAttributes": NAMES,
}


def truth(contact_id: str, source: str, first: date, after: date) -> list[Record]:
    """The records of the local days from `first` to before `after`."""
    low, high = (datetime.combine(day, time(), WORLD.zone) for day in (first, after))
    return [one for one in WORLD.records(contact_id, source) if low <= one.started_at < high]


@pytest.mark.parametrize("source", [MAIN, ARCHIVE])
async def test_an_answer_is_the_world_value_by_value(source: str) -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        for contact in WORLD.contacts():
            answer = await client.history(contact.contact_id, source=source, **ALL)
            assert answer["messageType"] == "GetInteractionsHistoryMessage"
            records = WORLD.records(contact.contact_id, source)
            assert answer["interactions"] == [record.payload for record in records]


@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("day", [date(2024, 3, 31), WORLD.active_days[0], WORLD.active_days[-1]])
async def test_a_day_is_cut_in_the_zone(included: bool, day: date) -> None:
    behaviour = Behaviour(to_date_included=included)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        span = {"fromDate": str(day), "toDate": str(day + timedelta(days=1))}
        for source in (MAIN, ARCHIVE):
            answer = await client.history(LANDMARKS, source=source, **ALL | span)
            expected = truth(LANDMARKS, source, day, day + timedelta(days=2 if included else 1))
            assert answer["interactions"] == [one.payload for one in expected]


async def test_newest_first_unless_asked_otherwise() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        ascending = await client.history(MERGED_WINNER, **ALL)
        descending = await client.history(MERGED_WINNER, **ALL | {"sort": None})
        assert descending["interactions"] == ascending["interactions"][::-1] != []


async def test_the_default_span_is_the_last_month_and_main() -> None:
    today = date(2024, 4, 1)
    async with (
        Simulator(WORLD, today=lambda: today).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        answer = await client.history(LANDMARKS, sort="asc", customAttributes=NAMES)
        expected = truth(LANDMARKS, MAIN, date(2024, 3, 1), date(2024, 4, 2))
        assert answer["interactions"] == [one.payload for one in expected]


async def test_one_media_type_in_whatever_case_the_records_have_it() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        answer = await client.history(MERGED_WINNER, mediaType="chat", **ALL)
        found = {one["mediaType"] for one in answer["interactions"] if isinstance(one, dict)}
        assert found == {"Chat", "chat"}


async def test_custom_attributes_come_only_by_name() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        bare = await client.history(MERGED_WINNER, **ALL | {"customAttributes": []})
        assert all("customAttributes" not in str(one) for one in bare["interactions"])
        some = await client.history(
            MERGED_WINNER, **ALL | {"customAttributes": ["orderno", "none"]}
        )
        found = [one.get("customAttributes", {}) for one in some["interactions"] if _whole(one)]
        assert {name for one in found for name in one} == {"orderno"}


async def test_a_search_compares_for_equality_and_names_must_be_repeated() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        wanted = {"searchCustomAttributes": {"SearchId": "123456"}}
        for contact in list(WORLD.contacts())[:20]:
            answer = await client.history(contact.contact_id, **ALL | wanted)
            expected = [
                record.payload
                for record in WORLD.records(contact.contact_id, MAIN)
                if _whole(record.payload)
                and record.payload.get("customAttributes", {}).get("SearchId") == "123456"
            ]
            assert answer["interactions"] == expected
        bare = await client.history(LANDMARKS, **ALL | wanted | {"customAttributes": None})
        assert all("customAttributes" not in one for one in bare["interactions"])


def _whole(payload: Any) -> bool:
    return isinstance(payload, dict)


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        ({"operationName": None}, 400, 1),
        ({"operationName": "RetrieveEverything"}, 400, 3),
        ({"fromDate": "01.03.2024"}, 400, 2),
        ({"fromDate": "2024-02-30"}, 400, 2),
        ({"toDate": 20240301}, 400, 2),
        ({"fromDate": "2024-03-02", "toDate": "2024-03-01"}, 400, 10),
        ({"mediaType": "pigeon"}, 400, 2),
        ({"mediaType": "smssession"}, 400, 2),
        ({"sort": "up"}, 400, 2),
        ({"source": "attic"}, 400, 2),
        ({"customAttributes": "OrderNo"}, 400, 2),
        ({"searchCustomAttributes": ["OrderNo"]}, 400, 2),
        ({"searchCustomAttributes": {"OrderNo": 1}}, 400, 2),
    ],
)
async def test_what_is_wrong_with_a_request_has_its_code(
    parameters: dict[str, Any], status: int, code: int
) -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        found, told = await client.ask(LANDMARKS, **parameters)
        assert (found, told["statusCode"]) == (status, code)
        assert told["statusMessage"] and "referenceId" not in told


async def test_errors_can_come_with_200_but_an_unknown_contact_is_404() -> None:
    behaviour = Behaviour(errors_as_http=False)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        status, told = await client.ask(LANDMARKS, sort="up")
        assert (status, told["statusCode"]) == (200, 2)
        for unknown in ("unknown", LANDMARKS.swapcase(), "..%2f"):
            status, told = await client.ask(unknown)
            assert (status, told["statusCode"]) == (404, 6)


async def test_a_body_that_is_no_json_is_a_bad_value() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        path = f"{server.url}/api/v2/ucs/contacts/{LANDMARKS}/interactions"
        async with client.http.post(path, data=b"{", headers=client.csrf) as reply:
            assert (await reply.json())["statusCode"] == 2


async def test_an_absent_archive_is_told_in_the_notification() -> None:
    async with (
        Simulator(WORLD, Behaviour(archive=False)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        answer = await client.history(LANDMARKS, source="archive", **ALL)
        assert answer["errorMessage"] and "interactions" not in answer
        assert "errorMessage" not in await client.history(LANDMARKS, source="main", **ALL)


async def test_an_early_notification_overtakes_its_reply() -> None:
    async with (
        Simulator(WORLD, Behaviour(early_share=1.0, reply_latency_ms=(300, 300))).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        asking = asyncio.create_task(client.ask(LANDMARKS, **ALL))
        [answer] = await client.notifications()
        assert not asking.done()
        assert (await asking)[1]["referenceId"] == answer["referenceId"]
        assert server.stats.notifications_early == 1


async def test_a_lost_notification_is_in_flight_no_more() -> None:
    async with (
        Simulator(WORLD, Behaviour(lost_share=1.0)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        assert (await client.ask(LANDMARKS))[0] == 200
        assert len(await client.connect(advice={"timeout": 30})) == 1
        assert server.stats.snapshot()["notifications"]["lost"] == 1
        assert server.stats.in_flight == 0


async def test_chances_are_the_same_in_every_run() -> None:
    async def losses() -> list[int]:
        behaviour = Behaviour(lost_share=0.5, seed=9)
        async with (
            Simulator(WORLD, behaviour).serve() as server,
            PlainClient(server.url) as client,
        ):
            await client.open()
            found = []
            for _ in range(20):
                await client.ask(LANDMARKS)
                found.append(server.stats.notifications_lost)
            return found

    first = await losses()
    assert first == await losses() and 0 < first[-1] < 20


async def test_latencies_hold_back_the_reply_and_the_notification() -> None:
    behaviour = Behaviour(latency_ms=(60, 70), reply_latency_ms=(40, 50))
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        loop = asyncio.get_running_loop()
        await client.open()
        start = loop.time()
        await client.ask(LANDMARKS)
        replied = loop.time()
        await client.notifications()
        assert 0.04 <= replied - start < 0.1
        assert loop.time() - start >= 0.06
        assert server.stats.most_in_flight == 1


async def test_an_answer_can_be_capped() -> None:
    async with (
        Simulator(WORLD, Behaviour(answer_cap=3)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        assert len((await client.history(LANDMARKS, **ALL))["interactions"]) == 3


async def test_interactions_of_all_contacts_up_to_the_largest_number() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()

        async def across(**parameters: Any) -> list[Any]:
            body = {"operationName": "RetrieveInteractionHistory"} | ALL | parameters
            status, told = await client.post("/api/v2/ucs/interactions", body)
            assert status == 200, told
            [answer] = await client.notifications()
            return list(answer["interactions"])

        assert len(await across()) == 100
        everything = await across(maxSize=100_000)
        own = [
            (one.start_ms, payload)
            for index in range(WORLD.size)
            for one in WORLD.own_history(index)
            for source, payload in one.copies
            if source == MAIN
        ]
        assert len(everything) == len(own)
        whole = {one["id"]: one for _, one in own if _whole(one) and one.get("id")}
        assert {one["id"]: one for one in everything if _whole(one) and one.get("id")} == whole
        assert await across(maxSize=5) == everything[:5]
        assert await across(maxSize=5, sort="desc") == everything[::-1][:5]
        body = {"operationName": "RetrieveInteractionHistory", "maxSize": 0}
        assert (await client.post("/api/v2/ucs/interactions", body))[1]["statusCode"] == 10
