"""A client as the settings want it, with its channel open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.transport import AiohttpTransport
from history_pipeline.settings import Settings


@asynccontextmanager
async def connected(
    settings: Settings,
    patience: float = PATIENCE,
    *,
    deadline: float | None = None,
    pace: Pace | None = None,
) -> AsyncIterator[GwsClient]:
    """A client for as long as the block runs. `patience` is how many seconds the server may be
    unusable. `deadline` replaces GWS_NOTIFICATION_TIMEOUT, for a client that asks too little to
    have canaries tell of silence; clients that share a `pace` keep to it together. Call it with the
    extraction's lock held: what the server is asked, and how often, is bounded for all runs
    together."""
    async with (
        AiohttpTransport(settings) as transport,
        GwsClient(
            transport,
            notifications_path=settings.notifications_path,
            channel=settings.channel,
            deadline=deadline or settings.notification_timeout,
            canary_interval=settings.canary_interval if deadline is None else 2 * deadline,
            in_flight=settings.concurrency,
            floor=settings.concurrency_floor,
            hours_bound=_hours_bound(settings),
            # whoever held the lock before may have asked a moment ago
            pace=pace or Pace(settings.requests_per_second, is_fresh=False),
            patience=patience,
        ) as client,
    ):
        yield client


def _hours_bound(settings: Settings) -> Callable[[float], int | None] | None:
    """How many may be in flight during business hours, or so many seconds before them."""
    hours = settings.business_hours
    if hours is None:
        return None

    def bound(lead: float) -> int | None:
        local = datetime.now(UTC).astimezone(settings.zone)
        return settings.business_concurrency if hours.hold(local, timedelta(seconds=lead)) else None

    return bound
