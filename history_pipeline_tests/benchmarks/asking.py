"""The bare loop: every request of the window, so many at once, with the pipeline's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from history_pipeline.gws import wire
from history_pipeline.gws.connecting import connected
from history_pipeline.gws.inquiry import Answer, Inquiry
from history_pipeline.model import HistoryRequest
from history_pipeline.settings import Settings
from history_pipeline_tests.benchmarks.scene import SOURCES, WINDOW

PATIENCE = 300.0


async def ask_all(
    settings: Settings, contact_ids: list[str], on_answer: Callable[[HistoryRequest, Answer], None]
) -> None:
    """Main before archive, as all contenders do."""
    criteria = wire.Filter(attributes=settings.asked_attributes)
    waiting = iter(contact_ids)
    async with connected(settings, PATIENCE) as client:

        async def work() -> None:
            for contact_id in waiting:
                for source in SOURCES:
                    inquiry = Inquiry(
                        wire.history_path(contact_id), wire.history_body(WINDOW, source, criteria)
                    )
                    try:
                        answer = await client.attempt(inquiry)
                    finally:
                        client.forget(inquiry)
                    on_answer(HistoryRequest(contact_id, WINDOW, source), answer)

        async with asyncio.TaskGroup() as workers:
            for _ in range(settings.concurrency):
                workers.create_task(work())
