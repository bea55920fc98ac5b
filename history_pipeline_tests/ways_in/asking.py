"""Both HTTP clients, and a whole run, over whatever way the settings say."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path

from history_pipeline.contacts.directory import get_json, open_session
from history_pipeline.errors import PipelineError
from history_pipeline.gws import wire
from history_pipeline.gws.transport import AiohttpTransport
from history_pipeline.settings import Settings
from history_pipeline_tests.end_to_end.running import Span, environment, settings_of

SPAN = Span(date(2026, 10, 1), date(2026, 10, 5), seed=6, contacts=12)


def settings(url: str, data_dir: Path, **more: object) -> Settings:
    told = {name: str(value) for name, value in more.items()}
    return settings_of(environment(url, data_dir, **told))


def by_aiohttp(found: Settings) -> None:
    """GET /me. Raises as the transport does, and for any other status than 200."""

    async def ask() -> None:
        async with AiohttpTransport(found) as transport:
            reply = await transport.send("GET", wire.ME_PATH, {}, None, 60)
            assert reply.status == 200, reply

    asyncio.run(ask())


def by_requests(found: Settings) -> None:
    with open_session(found) as session:
        get_json(session, found.url + wire.ME_PATH, wire.ME_PATH)


CLIENTS: dict[str, Callable[[Settings], None]] = {"aiohttp": by_aiohttp, "requests": by_requests}


def shown(exc: PipelineError) -> str:
    """All that a log could show of it, its causes included."""
    return repr(exc) + "".join(traceback.format_exception(exc))
