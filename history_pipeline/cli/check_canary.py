"""The canaries of `check`: one question, as the pipeline asks it, for each source."""

from __future__ import annotations

import asyncio

from history_pipeline.contacts import activity
from history_pipeline.errors import (
    AnswerFailed,
    AttemptSpent,
    ConfigurationError,
    ContactUnknown,
    DeadlineExceeded,
    RequestRefused,
    ServerSilent,
    ServerUnusable,
)
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.client import GwsClient, Inquiry
from history_pipeline.gws.insisting import uninterrupted
from history_pipeline.model import Source, Window
from history_pipeline.settings import Settings


async def ask(
    client: GwsClient,
    contact_id: str,
    window: Window,
    source: Source,
    is_given: bool,
    patience: float,
) -> tuple[str, float | None]:
    """One day of one contact, who is the first of a list, or `is_given` by the operator; returns
    what there is to tell, and how many seconds the answer took. Raises ServerUnusable where main
    cannot be asked."""
    inquiry = Inquiry(
        wire.history_path(contact_id),
        wire.history_body(window, source, wire.Filter()),
    )
    try:
        answer = await uninterrupted(client, inquiry, patience)
    except ContactUnknown:
        if is_given:
            raise ConfigurationError(
                f"--contact {contact_id}: the server does not know this contact; give the id of a "
                "customer with history"
            ) from None
        raise ServerUnusable(
            "the server does not know the first contact of the list: these are not customers' "
            "ids; see HISTORY_CONTACTS"
        ) from None
    except DeadlineExceeded as exc:
        raise ServerSilent(
            f"accepted, but {exc}; check GWS_CHANNEL and whether a balancer sends REST and CometD "
            "to different nodes"
        ) from exc
    except (AnswerFailed, RequestRefused) as exc:
        if source is Source.MAIN:
            raise ServerUnusable(f"{exc}; check the user's roles and features") from exc
        return f"this server does not offer it ({exc}); days will be marked unavailable", None
    except AttemptSpent as exc:
        raise ServerUnusable(f"the server fails over it: {exc}") from exc
    finally:
        client.forget(inquiry)
    told = f"answered, {len(payloads.records(answer))} interactions around {window.start}"
    return told, inquiry.seconds


async def active(
    client: GwsClient, settings: Settings, window: Window, until: float, patience: float
) -> list[str]:
    """Whoever RetrieveInteractionHistory shows active in the window. `until` is in seconds of the
    loop's clock. Raises ServerUnusable."""
    try:
        async with asyncio.timeout_at(until):
            found = await activity.discover(
                client, window, settings.sources[:1], settings.overlap_days, 2, patience
            )
    except TimeoutError:
        raise ServerSilent(
            "RetrieveInteractionHistory was not answered in time; check GWS_CHANNEL, and use "
            "HISTORY_CONTACTS=file:PATH where it takes so long"
        ) from None
    return sorted(found.contact_ids)
