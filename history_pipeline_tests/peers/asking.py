"""Our client as production builds it, and questions whose right answers are known.

The only thing changed is what may be changed from outside: the transport can be wrapped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date

from history_pipeline import settings as configuration
from history_pipeline.errors import EpochLost
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.client import Answer, GwsClient, Inquiry
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.transport import AiohttpTransport, Transport
from history_pipeline.model import Source, Window

WINDOW = Window(date(2024, 3, 1), date(2024, 3, 31))
FIRST_DAY_ASKED = "2024-02-29"

Wrap = Callable[[Transport], Transport]


@asynccontextmanager
async def connected(
    url: str, *, wrap: Wrap | None = None, deadline: float = 5.0
) -> AsyncIterator[GwsClient]:
    """A client with its channel open."""
    settings = configuration.load(
        GWS_URL=url,
        GWS_USERNAME="apiuser",
        GWS_PASSWORD="pässword",
        GWS_TIMEZONE="Europe/Berlin",
        HISTORY_CONTACTS="gws",
        _env_file=None,
    )
    async with (
        AiohttpTransport(settings) as transport,
        GwsClient(
            wrap(transport) if wrap else transport,
            notifications_path=settings.notifications_path,
            channel=settings.channel,
            deadline=deadline,
            canary_interval=settings.canary_interval,
            in_flight=1_000,
            pace=Pace(0),
            patience=10.0,
        ) as client,
    ):
        yield client


def inquiry(contact_id: str, source: Source = Source.MAIN) -> Inquiry:
    return Inquiry(wire.history_path(contact_id), wire.history_body(WINDOW, source, wire.Filter()))


async def ask(client: GwsClient, contact_id: str, source: Source = Source.MAIN) -> Answer:
    """One attempt."""
    question = inquiry(contact_id, source)
    try:
        return await client.attempt(question)
    finally:
        client.forget(question)


async def ask_through_epochs(client: GwsClient, contact_id: str, within: float = 8.0) -> Answer:
    """As the collector does where a session is lost: asks again."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await ask(client, contact_id)
            except EpochLost:
                continue


def ids(answer: Answer) -> list[str]:
    return [json.loads(bytes(record))["id"] for record in payloads.records(answer)]


def right_ids(contact_id: str, source: Source = Source.MAIN) -> list[str]:
    return [f"{contact_id}/{source.value}/{n}" for n in range(len(contact_id) % 3 + 1)]


def contacts(count: int, kind: str = "c") -> list[str]:
    return [f"{kind}-{n}" for n in range(count)]


async def ask_all(client: GwsClient, contact_ids: list[str], in_flight: int = 32) -> None:
    """Asks all, and fails unless each gets exactly its own answer at the first attempt."""
    free = asyncio.Semaphore(in_flight)

    async def one(contact_id: str) -> None:
        async with free:
            answer = await ask(client, contact_id)
            assert ids(answer) == right_ids(contact_id)
            for record in payloads.records(answer):
                assert json.loads(bytes(record))["startDate"].startswith(FIRST_DAY_ASKED)

    async with asyncio.TaskGroup() as group:
        for contact_id in contact_ids:
            group.create_task(one(contact_id))
