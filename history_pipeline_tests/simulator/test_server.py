"""Login, CSRF, sessions, pages and CometD over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from history_pipeline.simulator import (
    MAIN,
    Behaviour,
    Call,
    Faults,
    Interference,
    RunningSimulator,
    Simulator,
    World,
)
from history_pipeline_tests.simulator.plain_client import CHANNEL, PlainClient, basic

pytestmark = pytest.mark.asyncio

WORLD = World(contacts=650, unreadable_share=0.0)
SPAN = {"fromDate": "2024-03-01", "toDate": "2024-04-10"}


async def test_every_get_tells_the_csrf_token_and_opens_one_session() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        status, me = await client.get("/api/v2/me")
        assert (status, me["statusCode"]) == (200, 0)
        token = dict(client.csrf)
        assert set(token) == {"X-CSRF-TOKEN"}
        await client.get("/api/v2/features")
        assert client.csrf == token
        assert server.stats.http_sessions == 1


@pytest.mark.parametrize("spoil", ["token", "cookie"])
async def test_a_post_needs_the_token_and_the_cookie(spoil: str) -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        if spoil == "token":
            client.csrf = {"X-CSRF-TOKEN": "guessed"}
        else:
            client.http.cookie_jar.clear()
        for path in ("/api/v2/notifications", "/api/v2/ucs/interactions"):
            assert await client.post(path, []) == (403, "Missing or invalid Csrf token")
        assert server.stats.snapshot()["rejectedByStatus"] == {"403": 2}


async def test_without_csrf_no_token_is_told_or_wanted() -> None:
    async with (
        Simulator(WORLD, Behaviour(csrf=False)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        assert client.csrf == {}


@pytest.mark.parametrize(
    ("manner", "status", "told"),
    [("401", 401, "statusCode"), ("403", 403, "statusCode"), ("statuscode", 200, "statusCode")],
)
async def test_wrong_credentials_are_refused_in_the_manner_chosen(
    manner: str, status: int, told: str
) -> None:
    async with (
        Simulator(WORLD, Behaviour(login_refusal=manner)).serve() as server,
        PlainClient(server.url, basic(password="wrong")) as client,
    ):
        found, body = await client.get("/api/v2/me")
        assert (found, body[told]) == (status, 20)


@pytest.mark.parametrize(("manner", "status"), [("redirect", 302), ("html", 200)])
async def test_a_refusal_need_not_be_json(manner: str, status: int) -> None:
    async with (
        Simulator(WORLD, Behaviour(login_refusal=manner)).serve() as server,
        PlainClient(server.url, "Basic !") as client,
        client.http.get(server.url + "/api/v2/me", allow_redirects=False) as reply,
    ):
        assert reply.status == status
        assert reply.content_type != "application/json"


async def test_credentials_are_utf_8() -> None:
    behaviour = Behaviour(username="über-ß", password="pässwörd:客户")
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url, basic(behaviour.username, behaviour.password)) as client,
    ):
        assert (await client.get("/api/v2/me"))[0] == 200


async def test_who_is_not_logged_in_gets_no_handshake_but_the_version() -> None:
    async with (
        Simulator(WORLD, Behaviour(csrf=False)).serve() as server,
        PlainClient(server.url) as client,
    ):
        del client.http.headers["Authorization"]
        assert (await client.get("/api/v2/diagnostics/version"))[0] == 200
        assert (await client.get("/api/v2/me"))[0] == 401
        assert (await client.handshake())["error"] == "403::Handshake denied"


async def test_contacts_are_paged_and_a_page_can_be_shorter_than_its_limit() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        _, first = await client.get("/api/v2/contacts")
        assert (first["totalCount"], len(first["contacts"])) == (650, 100)
        _, largest = await client.get("/api/v2/contacts?offset=0&limit=9999")
        assert len(largest["contacts"]) == 500
        _, last = await client.get("/api/v2/contacts?offset=500&limit=9999")
        found = [row["id"] for row in largest["contacts"] + last["contacts"]]
        assert found == [contact.contact_id for contact in WORLD.contacts()]
        assert {"firstName", "phoneNumbers"} <= set(last["contacts"][0])
        _, beyond = await client.get("/api/v2/contacts?offset=650")
        assert beyond["contacts"] == []
        status, wrong = await client.get("/api/v2/contacts?limit=-1")
        assert (status, wrong["statusCode"]) == (400, 2)


async def test_an_unknown_path_is_not_found() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        assert (await client.get("/api/v2/nothing"))[1]["statusCode"] == 6
        assert (await client.post("/api/v2/nothing", {}))[0] == 404


async def test_an_http_session_expires_and_takes_its_cometd_session_along() -> None:
    behaviour = Behaviour(http_session_timeout=0.1, csrf=False)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        await asyncio.sleep(0.25)
        assert server.stats.http_sessions_expired == 1
        [reply] = await client.connect()
        assert reply["error"] == "402::Unknown client"


@pytest.mark.parametrize(("keeps", "status"), [(True, 200), (False, 403)])
async def test_polls_keep_the_http_session_or_do_not(keeps: bool, status: int) -> None:
    behaviour = Behaviour(http_session_timeout=0.15, cometd_timeout_ms=60, polls_keep_session=keeps)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        message = {"channel": "/meta/connect", "clientId": client.client_id}
        for _ in range(5):
            found, _ = await client.post("/api/v2/notifications", [message])
            if found != 200:
                break
        assert found == status


async def test_a_poll_ends_after_the_servers_timeout() -> None:
    behaviour = Behaviour(cometd_timeout_ms=50, cometd_interval_ms=7)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.get("/api/v2/me")
        advice = (await client.handshake())["advice"]
        assert advice == {"reconnect": "retry", "interval": 7, "timeout": 50}
        await client.connect()
        start = asyncio.get_running_loop().time()
        [reply] = await client.connect()
        assert reply["successful"]
        assert asyncio.get_running_loop().time() - start >= 0.045


async def test_a_cometd_session_ends_when_it_is_not_polled() -> None:
    behaviour = Behaviour(cometd_max_interval_ms=60)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.open()
        await asyncio.sleep(0.2)
        assert server.stats.cometd_sessions_expired == 1
        [reply] = await client.connect()
        assert reply["advice"]["reconnect"] == "handshake"
        assert (await client.subscribe())["error"] == "402::Unknown client"


async def test_two_polls_at_once_leave_the_older_answered() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        older = asyncio.create_task(client.connect())
        await asyncio.sleep(0.05)
        newer = asyncio.create_task(client.connect())
        [reply] = await older
        assert reply["successful"]
        server.drop_cometd_sessions()
        assert (await newer)[0]["error"] == "402::Unknown client"


async def test_the_subscription_can_be_refused() -> None:
    behaviour = Behaviour(subscription_refused=True)
    async with (
        Simulator(WORLD, behaviour).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.get("/api/v2/me")
        await client.handshake()
        assert (await client.subscribe())["error"] == "403::subscription_denied"


@pytest.mark.parametrize("channel", ["/**", "/v2/ucs/*", CHANNEL])
async def test_wildcards_hear_the_answer(channel: str) -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.get("/api/v2/me")
        await client.handshake()
        await client.subscribe(channel)
        assert (await client.history(WORLD.contact_id(1)))["interactions"] is not None


async def test_the_handshake_hands_out_the_browser_cookie() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        assert {one.key for one in client.http.cookie_jar} == {"JSESSIONID", "BAYEUX_BROWSER"}


async def test_an_unacknowledged_batch_comes_again_over_http() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open(ack=True)
        await client.ask(WORLD.contact_id(1), **SPAN)
        first = await client.connect()
        assert [one["channel"] for one in first] == [CHANNEL, "/meta/connect"]
        again = await client.connect(ext={"ack": client.ack - 1})  # type: ignore[operator]
        assert again[0] == first[0]
        settled = await client.connect(advice={"timeout": 0})
        assert len(settled) == 1


async def test_ack_is_not_echoed_where_it_is_off() -> None:
    async with (
        Simulator(WORLD, Behaviour(ack=False)).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.get("/api/v2/me")
        assert "ext" not in await client.handshake(ack=True)


async def test_an_answer_goes_to_the_session_that_asked() -> None:
    async with (
        Simulator(WORLD).serve() as server,
        PlainClient(server.url) as one,
        PlainClient(server.url) as other,
    ):
        await one.open()
        await other.open()
        await one.history(WORLD.contact_id(1))
        assert len(await other.connect(advice={"timeout": 0})) == 1


async def test_the_stats_tell_what_happened_without_a_login() -> None:
    async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
        await client.open()
        await client.history(WORLD.contact_id(1))
        await client.ask("unknown")
        async with client.http.get(server.url + "/simulator/stats") as reply:
            told: dict[str, Any] = await reply.json()
        assert told["operations"]["RetrieveContactHistory"] == 2
        assert told["historyRequests"] == 2
        assert told["rejectedByStatus"] == {"404": 1}
        assert told["refusedByStatusCode"] == {"6": 1}
        assert told["notifications"]["sent"] == told["mostInFlight"] == told["handshakes"] == 1
        assert told["inFlight"] == 0 and told["mostPerSecond"] == 2


class Busy(Faults):
    """Refuses the third call, and cuts the fourth."""

    def before_call(self, call: Call) -> Interference | None:
        if call.ordinal == 3:
            return Interference(429, headers={"Retry-After": "1"})
        return Interference(cut=True) if call.ordinal == 4 else None


async def test_a_policy_can_interfere_with_any_call() -> None:
    async with (
        Simulator(WORLD, faults=Busy()).serve() as server,
        PlainClient(server.url) as client,
    ):
        await client.get("/api/v2/me")
        await client.get("/api/v2/me")
        async with client.http.get(server.url + "/api/v2/me") as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
        with pytest.raises(aiohttp.ClientError, match=r"disconnected|reset"):
            await client.post("/api/v2/notifications", [])
        assert (await client.get("/api/v2/me"))[0] == 200


async def test_it_listens_on_the_loopback_and_ends_with_a_poll_held() -> None:
    loop = asyncio.get_running_loop()
    held: asyncio.Task[Any] | None = None

    async def serve() -> RunningSimulator:
        nonlocal held
        async with Simulator(WORLD).serve() as server, PlainClient(server.url) as client:
            await client.open()
            held = asyncio.create_task(client.connect())
            await asyncio.sleep(0.05)
            return server

    start = loop.time()
    server = await serve()
    assert server.url.startswith("http://127.0.0.1:")
    assert loop.time() - start < 2
    assert held is not None
    await asyncio.gather(held, return_exceptions=True)
    assert WORLD.records(WORLD.contact_id(1), MAIN)
