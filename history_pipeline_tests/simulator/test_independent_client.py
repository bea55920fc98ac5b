"""A CometD client of other people's making understands the server."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiocometd_noloop import (  # type: ignore[import-untyped]
    AuthExtension,
    Client,
    ConnectionType,
    Extension,
)

from history_pipeline.simulator import MAIN, Behaviour, Simulator, World
from history_pipeline_tests.simulator.plain_client import CHANNEL, basic

pytestmark = pytest.mark.asyncio

WORLD = World(contacts=20, unreadable_share=0.0)


class Session(AuthExtension):  # type: ignore[misc]
    """Logs in once and puts session, token and credentials on every call.

    The client's own cookie jar drops the cookies of IP addresses.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers: dict[str, str] = {"Authorization": basic()}

    async def authenticate(self) -> None:
        async with (
            aiohttp.ClientSession(headers=self.headers) as http,
            http.get(self.url + "/api/v2/me") as reply,
        ):
            self.headers[reply.headers["X-CSRF-HEADER"]] = reply.headers["X-CSRF-TOKEN"]
            self.headers["Cookie"] = f"JSESSIONID={reply.cookies['JSESSIONID'].value}"

    async def outgoing(self, payload: Any, headers: Any) -> None:
        headers.update(self.headers)

    async def incoming(self, payload: Any, headers: Any = None) -> None:
        pass


class Acknowledgement(Extension):  # type: ignore[misc]
    """The ack extension, after the CometD manual."""

    def __init__(self) -> None:
        self.agreed = False
        self.seen = 0

    async def outgoing(self, payload: Any, headers: Any) -> None:
        for message in payload:
            if message["channel"] == "/meta/handshake":
                message["ext"] = {"ack": True}
            elif message["channel"] == "/meta/connect":
                message["ext"] = {"ack": self.seen}

    async def incoming(self, payload: Any, headers: Any = None) -> None:
        for message in payload:
            extension = message.get("ext", {})
            if message["channel"] == "/meta/handshake":
                self.agreed = extension.get("ack") is True
            elif message["channel"] == "/meta/connect" and "ack" in extension:
                self.seen = extension["ack"]


@pytest.mark.parametrize("ack", [True, False])
async def test_it_subscribes_and_gets_the_answers_of_history_requests(ack: bool) -> None:
    async with Simulator(WORLD, Behaviour(ack=ack, latency_ms=(0, 20))).serve() as server:
        session, acknowledgement = Session(server.url), Acknowledgement()
        await session.authenticate()
        client = Client(
            server.url + "/api/v2/notifications",
            ConnectionType.LONG_POLLING,
            auth=session,
            extensions=[acknowledgement],
        )
        async with client, aiohttp.ClientSession(headers=session.headers) as http:
            await client.subscribe(CHANNEL)
            assert acknowledgement.agreed is ack
            asked = {}
            for contact in WORLD.contacts():
                path = f"/api/v2/ucs/contacts/{contact.contact_id}/interactions"
                body = {
                    "operationName": "RetrieveContactHistory",
                    "fromDate": "2024-03-01",
                    "toDate": "2024-04-10",
                    "sort": "asc",
                    "customAttributes": list(WORLD.attribute_names),
                }
                async with http.post(server.url + path, json=body) as reply:
                    asked[(await reply.json())["referenceId"]] = contact.contact_id
            async with asyncio.timeout(5):
                answers = [(await client.receive())["data"] for _ in asked]
        assert {one["referenceId"] for one in answers} == set(asked)
        for one in answers:
            records = WORLD.records(asked[one["referenceId"]], MAIN)
            assert one["interactions"] == [record.payload for record in records]
        assert (acknowledgement.seen > 0) is ack
