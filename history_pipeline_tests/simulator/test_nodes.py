"""Two nodes behind a balancer that goes by its cookie."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from history_pipeline.simulator import Behaviour, RunningSimulator, Simulator, World
from history_pipeline_tests.simulator.plain_client import PlainClient

WORLD = World(contacts=20, unreadable_share=0.0)
ONE = WORLD.contact_id(1)


@asynccontextmanager
async def two_nodes(**switches: float) -> AsyncIterator[RunningSimulator]:
    behaviour = Behaviour(nodes=2, **switches)  # type: ignore[arg-type]
    async with Simulator(WORLD, behaviour).serve() as server:
        yield server


def cookies(client: PlainClient) -> dict[str, str]:
    return {one.key: one.value for one in client.http.cookie_jar}


async def test_who_keeps_the_cookies_stays_with_one_node() -> None:
    async with two_nodes() as server, PlainClient(server.url) as client:
        await client.open()
        assert cookies(client)["AWSELB"] == "node1"
        assert cookies(client)["JSESSIONID"].endswith(".node1")
        for _ in range(4):
            await client.history(ONE)
        assert [len(node.sessions) for node in server.nodes] == [1, 0]


async def test_the_nodes_are_given_out_in_turn_and_know_only_their_own() -> None:
    async with (
        two_nodes() as server,
        PlainClient(server.url) as one,
        PlainClient(server.url) as other,
    ):
        await one.open()
        await other.open()
        assert cookies(other)["AWSELB"] == "node2"
        assert cookies(other)["JSESSIONID"].endswith(".node2")
        assert [await one.accepted(ONE), await other.accepted(ONE)] == [1, 1]
        assert len(await one.waiting()) == len(await other.waiting()) == 1
        assert server.stats.snapshot()["acceptedRequests"] == 2


async def test_without_the_balancers_cookie_one_comes_to_a_node_that_does_not_know_one() -> None:
    async with two_nodes() as server, PlainClient(server.url) as client:
        await client.open()
        client.http.cookie_jar.clear(lambda one: one.key == "AWSELB")
        assert await client.ask(ONE) == (403, "Missing or invalid Csrf token")
        assert cookies(client)["AWSELB"] == "node2"
        assert (await client.ask(ONE))[0] == 403
        client.http.cookie_jar.clear(lambda one: one.key == "AWSELB")
        assert (await client.ask(ONE))[0] == 200, "in turn: it is the first node again"


async def test_a_client_without_cookies_never_gets_anywhere() -> None:
    async with two_nodes() as server, PlainClient(server.url) as client:
        await client.get("/api/v2/me")
        client.http.cookie_jar.clear()
        assert (await client.ask(ONE))[0] == 403


async def test_a_cookie_that_names_no_node_counts_for_nothing() -> None:
    async with two_nodes() as server, PlainClient(server.url) as client:
        client.http.cookie_jar.update_cookies({"AWSELB": "node9"})
        await client.get("/api/v2/me")
        assert cookies(client)["AWSELB"] == "node1"


async def test_a_fault_falls_on_the_same_call_whichever_node_it_comes_to() -> None:
    async def statuses(*nodes: str) -> list[int]:
        async with two_nodes(http_500_share=0.5) as server, PlainClient(server.url) as client:
            found = []
            for node in nodes:
                client.http.cookie_jar.update_cookies({"AWSELB": node})
                found.append((await client.ask_raw(ONE)).status == 500)
            return [int(one) for one in found]

    plain = await statuses(*["node1"] * 8)
    assert plain == await statuses(*["node1", "node2"] * 4)
    assert set(plain) == {0, 1}


async def test_nodes_in_processes_of_their_own_know_nothing_of_each_others_sessions() -> None:
    async with (
        Simulator(WORLD, Behaviour(first_node=1)).serve() as one,
        Simulator(WORLD, Behaviour(first_node=2)).serve() as other,
        PlainClient(one.url) as client,
    ):
        await client.open()
        assert cookies(client)["JSESSIONID"].endswith(".node1")
        client.url = other.url
        assert (await client.ask(ONE))[0] == 403
        assert await client.get("/api/v2/me")
        assert cookies(client)["JSESSIONID"].endswith(".node2")


async def test_one_node_sets_no_balancers_cookie() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        assert "AWSELB" not in cookies(client)
