"""A channel that accepts questions and delivers nothing is noticed, and costs no attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from history_pipeline.errors import ChannelMute, DeadlineExceeded, PipelineError, ServerSilent
from history_pipeline.gws.client import GwsClient, Inquiry
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.wire import Reply
from history_pipeline_tests import virtual_time
from history_pipeline_tests.gws.scripted_server import (
    CHANNEL,
    NOTIFICATIONS,
    Call,
    ScriptedServer,
)

T = TypeVar("T")
INTERVAL = 30.0


def talk(
    server: ScriptedServer, work: Callable[[GwsClient], Awaitable[T]], in_flight: int = 4
) -> T:
    async def whole() -> T:
        client = GwsClient(
            server,
            notifications_path=NOTIFICATIONS,
            channel=CHANNEL,
            deadline=60.0,
            canary_interval=INTERVAL,
            in_flight=in_flight,
            pace=Pace(0),
        )
        async with client:
            return await work(client)

    return virtual_time.run(whole())


def question(name: str) -> Inquiry:
    return Inquiry(f"/contacts/{name}", b"{}")


async def ended(client: GwsClient, asked: Inquiry) -> tuple[Any, float]:
    """How one attempt ended, and after how many seconds."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        outcome: Any = await client.attempt(asked)
    except PipelineError as exc:
        outcome = exc
    return outcome, loop.time() - started


async def attempts_spent(client: GwsClient, asked: Inquiry) -> int:
    """Asks until there is an answer; returns how many attempts that cost."""
    spent = 0
    while True:
        outcome, _ = await ended(client, asked)
        if not isinstance(outcome, PipelineError):
            return spent
        spent += isinstance(outcome, DeadlineExceeded)
        await asyncio.sleep(0.2)


def deaf_to(server: ScriptedServer, *names: str) -> None:
    """From now on the server accepts questions about these contacts and never answers them."""

    async def script(call: Call) -> Reply:
        if call.path.rpartition("/")[2] in names:
            return server.accept()[1]
        return await server.usual(call)

    server.always["history"] = script


def names(server: ScriptedServer) -> list[str]:
    return [call.path.rpartition("/")[2] for call in server.of("history")]


def test_a_mute_channel_is_noticed_within_twice_the_interval() -> None:
    server = ScriptedServer(silent=True)

    async def work(client: GwsClient) -> tuple[Any, float]:
        return await ended(client, question("a"))

    outcome, seconds = talk(server, work)
    assert type(outcome) is ChannelMute
    assert INTERVAL < seconds <= 2 * INTERVAL


def test_a_channel_that_is_mute_for_a_while_costs_no_attempts() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient) -> list[int]:
        await client.attempt(question("before"))
        server.silent = True
        asyncio.get_running_loop().call_later(100, setattr, server, "silent", False)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(attempts_spent(client, question(f"{n}"))) for n in range(4)]
        return [task.result() for task in tasks]

    assert talk(server, work) == [0, 0, 0, 0]


def test_a_channel_that_stays_mute_ends_the_run() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient) -> tuple[PipelineError, float, int]:
        await client.attempt(question("before"))
        server.silent = True
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            outcome, _ = await ended(client, question("a"))
            if not isinstance(outcome, ChannelMute):
                return outcome, loop.time() - started, len(server.of("history"))
            await asyncio.sleep(0.2)

    outcome, seconds, asked = talk(server, work)
    assert type(outcome) is ServerSilent
    assert "GWS_CANARY_INTERVAL" in str(outcome)
    assert seconds < 400
    assert asked < 40, "a mute server is asked canaries, and nothing else"


def test_after_a_mute_epoch_a_question_that_was_answered_before_goes_first_and_alone() -> None:
    server = ScriptedServer(latency=5)

    async def work(client: GwsClient) -> None:
        await client.attempt(question("proven"))
        server.silent = True
        loop = asyncio.get_running_loop()
        loop.call_later(58, setattr, server, "silent", False)
        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(attempts_spent(client, question(name)))

    talk(server, work)
    assert names(server)[:5] == ["proven", "a", "b", "c", "d"]
    later = [call for call in server.of("history") if call.at > 60]
    assert later[0].path == "/contacts/proven"
    assert later[1].at - later[0].at >= 5


def test_one_question_without_an_answer_is_no_mute_channel() -> None:
    server = ScriptedServer()
    deaf_to(server, "deaf")

    async def work(client: GwsClient) -> tuple[Any, float, int]:
        await client.attempt(question("proven"))
        return *await ended(client, question("deaf")), client.tally.handshakes

    outcome, seconds, handshakes = talk(server, work)
    assert type(outcome) is DeadlineExceeded
    assert seconds == pytest.approx(60, abs=0.1)
    assert handshakes == 1
    assert names(server) == ["proven", "deaf", "proven"]


def test_a_canary_whose_answer_is_lost_is_followed_by_another() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient) -> int:
        await client.attempt(question("proven"))
        deaf_to(server, "deaf", "proven")
        # the first canary goes after 30 s, the second at 39
        asyncio.get_running_loop().call_later(35, deaf_to, server, "deaf")
        await ended(client, question("deaf"))
        return client.tally.handshakes

    assert talk(server, work) == 1
    assert names(server) == ["proven", "deaf", "proven", "proven"]


def test_with_nothing_to_spare_in_flight_a_question_without_an_answer_spends_its_attempts() -> None:
    server = ScriptedServer()
    deaf_to(server, "deaf")

    async def work(client: GwsClient) -> list[type]:
        await client.attempt(question("proven"))
        deaf = question("deaf")
        return [type((await ended(client, deaf))[0]) for _ in range(4)]

    outcomes = talk(server, work, in_flight=1)
    assert outcomes == [ChannelMute, DeadlineExceeded, DeadlineExceeded, DeadlineExceeded]


def test_no_more_than_the_bound_is_asked_at_once_canaries_included() -> None:
    server = ScriptedServer()
    deaf_to(server, "a", "b")

    async def work(client: GwsClient) -> None:
        await client.attempt(question("proven"))
        async with asyncio.TaskGroup() as group:
            for name in "ab":
                group.create_task(ended(client, question(name)))

    talk(server, work, in_flight=2)
    before_the_next_epoch = [call for call in server.of("history") if call.at < 57]
    assert {call.path for call in before_the_next_epoch[1:]} == {"/contacts/a", "/contacts/b"}


def test_where_nothing_is_awaited_silence_is_no_news() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient) -> int:
        await client.attempt(question("a"))
        await asyncio.sleep(1_000)
        await client.attempt(question("b"))
        return client.tally.handshakes

    assert talk(server, work) == 1
    assert names(server) == ["a", "b"]


def test_other_messages_of_the_channel_show_that_it_delivers() -> None:
    server = ScriptedServer()

    async def work(client: GwsClient) -> tuple[Any, int]:
        deaf_to(server, "deaf")
        chatter = [
            asyncio.get_running_loop().call_later(20 * n, server.notify, 900 + n) for n in (1, 2)
        ]
        outcome, _ = await ended(client, question("deaf"))
        assert all(handle.when() for handle in chatter)
        return outcome, client.tally.handshakes

    outcome, handshakes = talk(server, work)
    assert type(outcome) is DeadlineExceeded
    assert handshakes == 1
    assert names(server) == ["deaf"]
