"""What sites may differ in, each way."""

from __future__ import annotations

import base64
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.simulator import ARCHIVE, MAIN, Behaviour, Simulator, World
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=60, unreadable_share=0.0)
ONE = WORLD.contact_id(1)
NAMES = list(WORLD.attribute_names)
ALL: dict[str, Any] = {"fromDate": "2024-03-01", "toDate": "2024-04-10", "sort": "asc"}
NOBODY = "0000nobody000000"


def ids(answer: Any) -> list[str]:
    return [one["id"] for one in answer["interactions"]]


async def test_credentials_are_read_in_the_encoding_of_the_site() -> None:
    password = "pâss"
    for encoding, other in (("utf-8", "iso-8859-1"), ("iso-8859-1", "utf-8")):
        behaviour = Behaviour(password=password, basic_encoding=encoding)
        async with Simulator(WORLD, behaviour).serve() as server:
            for used, status in ((encoding, 200), (other, 401)):
                header = base64.b64encode(f"apiuser:{password}".encode(used)).decode()
                async with PlainClient(server.url, f"Basic {header}") as client:
                    assert (await client.get("/api/v2/me"))[0] == status


async def test_roles_and_features_are_told_or_not() -> None:
    behaviour = Behaviour(roles=("ROLE_AGENT",), features=("api-ucs-voice",))
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        assert (await client.get("/api/v2/me"))[1]["user"]["roles"] == ["ROLE_AGENT"]
        told = await client.get("/api/v2/features?fields=*")
        assert told == (200, {"statusCode": 0, "features": [{"id": "api-ucs-voice"}]})
    behaviour = Behaviour(roles=(), features_served=False)
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        assert "roles" not in (await client.get("/api/v2/me"))[1]["user"]
        assert (await client.get("/api/v2/features"))[0] == 404


async def test_a_handshake_can_offer_other_transports() -> None:
    behaviour = Behaviour(transports=("websocket", "long-polling"))
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.get("/api/v2/me")
        reply = await client.handshake()
        assert reply["supportedConnectionTypes"] == ["websocket", "long-polling"]
        await client.connect()
        assert (await client.subscribe())["successful"]


async def test_the_list_can_be_the_directory_of_agents_and_queues() -> None:
    async with (
        Simulator(WORLD, Behaviour(agents_listed=True)).serve() as server,
        PlainClient(server.url) as client,
    ):
        listed = (await client.get("/api/v2/contacts"))[1]
        assert listed["totalCount"] == len(listed["contacts"]) == WORLD.size
        assert {one["type"] for one in listed["contacts"]} == {"User", "Queue"}
        assert {len(one["id"]) for one in listed["contacts"]} == {32}
        await client.open()
        assert (await client.ask(listed["contacts"][0]["id"]))[0] == 404


async def test_days_can_be_cut_in_another_zone_than_offsets_are_written_in() -> None:
    behaviour = Behaviour(days_zone="Asia/Tokyo")
    day, tokyo = WORLD.active_days[0], ZoneInfo("Asia/Tokyo")
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        answer = await client.history(ONE, fromDate=str(day), toDate=str(day), source=ARCHIVE)
    low, high = (datetime.combine(one, time(), tokyo) for one in (day, day + timedelta(days=1)))
    held = WORLD.records(ONE, ARCHIVE)
    expected = [one.payload["id"] for one in held if low <= one.started_at < high]
    assert ids(answer)[::-1] == expected != []


async def test_sort_can_be_ignored() -> None:
    async with (
        Simulator(WORLD, Behaviour(sort_obeyed=False)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        ascending = ids(await client.history(ONE, **ALL))
        assert ascending == ids(await client.history(ONE, **ALL | {"sort": "desc"})) != []


async def test_source_can_be_ignored() -> None:
    async with (
        Simulator(WORLD, Behaviour(source_obeyed=False)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        main = ids(await client.history(ONE, source=MAIN, **ALL))
        assert main == ids(await client.history(ONE, source=ARCHIVE, **ALL)) != []


@pytest.mark.parametrize(("manner", "status", "code"), [("404", 404, 6), ("code-6", 200, 6)])
async def test_an_unknown_contact_can_be_refused(manner: str, status: int, code: int) -> None:
    behaviour = Behaviour(unknown_contacts=manner)
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        found, told = await client.ask(NOBODY)
        assert (found, told["statusCode"]) == (status, code)


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_an_unknown_contact_can_be_answered_all_the_same(share: float) -> None:
    asked = NOBODY if not share else ONE
    for manner in ("empty", "error-message"):
        behaviour = Behaviour(unknown_contacts=manner, unknown_contact_share=share)
        async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
            await client.open()
            answer = await client.history(asked)
            assert answer.get("interactions") == ([] if manner == "empty" else None)
            assert ("errorMessage" in answer) == (manner == "error-message")


async def test_interaction_history_can_be_refused() -> None:
    body = {"operationName": "RetrieveInteractionHistory"}
    for offered, status in ((True, 200), (False, 400)):
        async with (
            Simulator(WORLD, Behaviour(interaction_history=offered)).serve() as server,
            PlainClient(server.url) as client,
        ):
            await client.open()
            assert (await client.post("/api/v2/ucs/interactions", body))[0] == status


@pytest.mark.parametrize("by_all", [True, False])
async def test_answers_can_be_heard_in_every_session(by_all: bool) -> None:
    async with (
        Simulator(WORLD, Behaviour(heard_by_all=by_all)).serve() as server,
        PlainClient(server.url) as asking,
        PlainClient(server.url) as listening,
    ):
        await asking.open()
        await listening.open()
        reference_id = await asking.accepted(ONE)
        assert [one["referenceId"] for one in await asking.waiting()] == [reference_id]
        heard = [one["referenceId"] for one in await listening.waiting()]
        assert heard == ([reference_id] if by_all else [])
