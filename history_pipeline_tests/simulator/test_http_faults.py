"""HTTP replies that go wrong: at their rate, the same again with the same seed, and how."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from history_pipeline.simulator import (
    Behaviour,
    Call,
    Interference,
    RunningSimulator,
    Simulator,
    SwitchedFaults,
    World,
)
from history_pipeline_tests.simulator.plain_client import PlainClient, Raw

WORLD = World(contacts=60, unreadable_share=0.0)
ONE = WORLD.contact_id(1)
PATH = "/api/v2/contacts?offset=0&limit=10"

STATUSES = {
    "http_401": 401,
    "http_403": 403,
    "http_429": 429,
    "http_503": 503,
    "http_500": 500,
    "html": 200,
}


@asynccontextmanager
async def opened(**switches: Any) -> AsyncIterator[tuple[RunningSimulator, PlainClient]]:
    behaviour = Behaviour(**switches)
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        await client.open()
        yield server, client


def call(identity: int, turn: int = 1, place: str = "history") -> Call:
    return Call(1, "POST", "/", place, identity, turn)


def interferences(**switches: Any) -> list[Interference | None]:
    policy = SwitchedFaults(Behaviour(**switches))
    assert policy.identifies
    return [policy.before_call(call(identity)) for identity in range(2000)]


@pytest.mark.parametrize("name", [*STATUSES, "reset"])
def test_a_fault_occurs_at_its_rate_and_again_with_its_seed(name: str) -> None:
    switch = {f"{name}_share": 0.25}
    found = interferences(**switch)
    hits = [one for one in found if one is not None]
    assert 440 < len(hits) < 560
    assert {one.fault for one in hits} == {name}
    assert found == interferences(**switch) != interferences(seed=2, **switch)


@pytest.mark.parametrize("name", ["truncated", "reset_after"])
def test_a_reply_is_spoilt_at_its_rate_and_again_with_its_seed(name: str) -> None:
    def spoilt(**switches: Any) -> list[bool]:
        policy = SwitchedFaults(Behaviour(**{f"{name}_share": 0.25}, **switches))
        return [policy.reply(call(identity), b"{}") is not None for identity in range(2000)]

    assert 440 < sum(spoilt()) < 560
    assert spoilt() == spoilt() != spoilt(seed=2)


def test_of_several_the_first_counts_and_none_moves_another() -> None:
    alone = interferences(http_500_share=0.2)
    both = interferences(http_500_share=0.2, http_401_share=0.2)
    for one, other in zip(alone, both, strict=True):
        if other is None:
            assert one is None
        elif one is not None:
            assert other.fault in ("http_500", "http_401")
    assert {one.fault for one in both if one} == {"http_500", "http_401"}


def test_only_the_places_chosen_are_hit() -> None:
    policy = SwitchedFaults(Behaviour(html_share=1.0, http_faults_on=("contacts", "polls")))
    hit = {
        place
        for place in ("history", "contacts", "polls", "handshakes", "login", "")
        if policy.before_call(call(1, place=place))
    }
    assert hit == {"contacts", "polls"}


@pytest.mark.parametrize("name", STATUSES)
async def test_a_refused_history_request_was_not_accepted(name: str) -> None:
    async with opened(**{f"{name}_share": 1.0}) as (server, client):
        reply = await client.ask_raw(ONE)
        assert reply.status == STATUSES[name]
        assert server.stats.accepted_requests == 0
        told = server.stats.snapshot()
        assert told["faults"] == {name: 1}
        assert told["rejectedByStatus"] == ({} if name == "html" else {str(reply.status): 1})
        assert (await client.get("/api/v2/me"))[0] == 200


async def test_the_bodies_are_those_of_such_servers() -> None:
    async def body(**switches: Any) -> Raw:
        async with opened(**switches) as (_, client):
            return await client.ask_raw(ONE)

    assert json.loads((await body(http_401_share=1.0)).body)["statusCode"] == 20
    assert json.loads((await body(http_500_share=1.0)).body)["statusCode"] == 4
    assert (await body(http_403_share=1.0)).body == b"Missing or invalid Csrf token"
    page = await body(html_share=1.0)
    assert page.headers["Content-Type"].startswith("text/html") and b"<html>" in page.body


@pytest.mark.parametrize("name", ["http_429", "http_503"])
async def test_retry_after_comes_in_seconds_as_a_date_or_not_at_all(name: str) -> None:
    async def reply(form: str) -> Raw:
        switches = {f"{name}_share": 1.0, "retry_after": 7, "retry_after_forms": (form,)}
        async with opened(**switches) as (_, client):
            return await client.ask_raw(ONE)

    assert (await reply("seconds")).headers["Retry-After"] == "7"
    assert "Retry-After" not in (await reply("none")).headers
    dated = (await reply("date")).headers
    assert dated["Retry-After"].endswith(" GMT")
    ahead = parsedate_to_datetime(dated["Retry-After"]) - parsedate_to_datetime(dated["Date"])
    assert 7 <= ahead.total_seconds() <= 9


def test_a_date_is_never_nearer_than_was_meant() -> None:
    behaviour = Behaviour(http_503_share=1.0, retry_after=2, retry_after_forms=("date",))
    refusal = SwitchedFaults(behaviour, wall=lambda: 1_700_000_000.25).before_call(call(1))
    assert refusal is not None
    moment = parsedate_to_datetime(refusal.headers["Retry-After"]).timestamp()
    assert moment == 1_700_000_003


def test_several_forms_take_turns_by_chance() -> None:
    found = interferences(http_429_share=1.0, retry_after_forms=("seconds", "none"))
    dated = [one for one in found if one is not None and "Retry-After" in one.headers]
    assert 900 < len(dated) < 1100


async def test_truncated_json_is_of_an_accepted_request() -> None:
    async with opened(truncated_share=1.0) as (server, client):
        reply = await client.ask_raw(ONE)
        assert reply.status == 200 and reply.body.startswith(b'{"statusCode":0')
        with pytest.raises(json.JSONDecodeError):
            json.loads(reply.body)
        assert len(await client.waiting()) == server.stats.accepted_requests == 1


@pytest.mark.parametrize(("name", "accepted"), [("reset", 0), ("reset_after", 1)])
async def test_a_connection_is_reset_before_or_after_the_request_counts(
    name: str, accepted: int
) -> None:
    async with opened(**{f"{name}_share": 1.0}) as (server, client):
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            await client.ask_raw(ONE)
        assert len(await client.waiting()) == server.stats.accepted_requests == accepted
        assert server.stats.snapshot()["faults"] == {name: 1}


async def test_a_page_of_contacts_fares_the_same_in_every_run() -> None:
    async def statuses() -> list[int]:
        switches = {"http_503_share": 0.5, "http_faults_on": ("contacts",)}
        async with opened(**switches) as (_, client):
            return [(await client.raw("GET", PATH)).status for _ in range(20)]

    first = await statuses()
    assert set(first) == {200, 503}
    assert first == await statuses()


async def test_a_page_of_contacts_can_be_truncated_or_html() -> None:
    async with opened(truncated_share=1.0, http_faults_on=("contacts",)) as (_, client):
        body = (await client.raw("GET", PATH)).body
        assert body.startswith(b'{"statusCode":0')
        with pytest.raises(json.JSONDecodeError):
            json.loads(body)
    async with opened(html_share=1.0, http_faults_on=("contacts",)) as (_, client):
        assert b"<html>" in (await client.raw("GET", PATH)).body


async def test_a_refused_poll_leaves_the_notifications_where_they_are() -> None:
    async with opened(http_503_share=0.5, http_faults_on=("polls",), seed=6) as (server, client):
        reference_id = await client.accepted(ONE)
        connect = {"channel": "/meta/connect", "clientId": client.client_id}
        while (reply := await client.raw("POST", "/api/v2/notifications", [connect])).status == 503:
            assert server.stats.notifications_sent == 1
        [answer, _] = json.loads(reply.body)
        assert answer["data"]["referenceId"] == reference_id


async def test_logins_and_handshakes_can_be_hit_too() -> None:
    behaviour = Behaviour(http_500_share=1.0, http_faults_on=("login", "handshakes"))
    async with Simulator(WORLD, behaviour).serve() as server, PlainClient(server.url) as client:
        assert (await client.raw("GET", "/api/v2/me")).status == 500
        assert (await client.raw("GET", "/api/v2/features")).status == 200
        assert (await client.raw("POST", "/api/v2/notifications", [])).status == 500
