"""`check`: tries the server step by step, a line a step, with what to mend where one fails.

Changes nothing on the server: it logs in, listens, reads a page of contacts and asks for one day
of one contact. While another run asks the server it only logs in and listens.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from rich.console import Console

from history_pipeline import settings as settings_module
from history_pipeline.cli.display import own_console
from history_pipeline.cli.exits import Exit, status_of
from history_pipeline.contacts import activity
from history_pipeline.contacts.directory import DirectoryContacts, get_json, open_session
from history_pipeline.contacts.listed_file import FileContacts
from history_pipeline.errors import (
    AnswerFailed,
    ConfigurationError,
    ContactUnknown,
    DeadlineExceeded,
    LockTimeout,
    PipelineError,
    RequestRefused,
    ServerSilent,
    ServerUnusable,
    StorageError,
)
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.client import GwsClient, Inquiry
from history_pipeline.gws.connecting import connected
from history_pipeline.history.running import run
from history_pipeline.model import Contact, Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import locks
from history_pipeline.storage.layout import Layout

_MOMENT = 1.0
"""Seconds to wait for another run."""


def run_check() -> int:
    """Returns 0 where the pipeline can run, else the exit status of what stands in its way."""
    try:
        _check(own_console())
    except PipelineError as exc:
        return status_of(exc)  # its line has been printed with its step
    return Exit.COMPLETE


def _check(console: Console) -> None:
    with ExitStack() as turn:
        with _step(console, "configuration") as say:
            settings = settings_module.load()
            busy = _take_turn(settings, turn)
            say(f"{settings.url}, days in {settings.timezone}")
        with open_session(settings) as session:
            with _step(console, "connection and login") as say:
                get_json(session, settings.url + wire.ME_PATH, wire.ME_PATH)
                say(f"logged in as {settings.username}")
            contacts: list[Contact] = []
            if settings.contact_source == "file" or (settings.contact_source == "gws" and not busy):
                with _step(console, f"contacts ({settings.contact_source})") as say:
                    contacts = _first_page(settings, session)
                    say(f"{len(contacts)} on the first page" if contacts else "the list is empty")
        run(_check_channel(settings, contacts, busy, console))
    console.print("the pipeline can run; next: history-pipeline backfill --from DAY --to DAY")


def _take_turn(settings: Settings, turn: ExitStack) -> str | None:
    """Makes others wait while we ask; says who is asking already, where somebody is."""
    layout = Layout(settings.data_dir)
    if not layout.root.is_dir():
        return None
    try:
        turn.enter_context(locks.exclusive(layout.extraction_lock, "check", _MOMENT))
    except LockTimeout as exc:
        return str(exc)
    except StorageError as exc:
        raise ConfigurationError(f"HISTORY_DATA_DIR cannot be used: {exc}") from exc
    return None


async def _check_channel(
    settings: Settings, contacts: list[Contact], busy: str | None, console: Console
) -> None:
    yesterday = datetime.now(UTC).astimezone(settings.zone).date() - timedelta(days=1)
    window = Window(yesterday, yesterday + timedelta(days=1))
    async with _channel(settings, console) as client:
        if busy:
            console.print(f"- requests: left out, another run is asking ({busy})", markup=False)
            return
        if settings.contact_source == "activity":
            with _step(console, "contacts (activity)") as say:
                found = await activity.discover(
                    client, window, settings.sources[:1], settings.overlap_days, 2
                )
                contacts = [Contact(contact_id) for contact_id in sorted(found.contact_ids)]
                say(f"{len(contacts)} active around {yesterday}")
        for source in settings.sources if contacts else ():
            with _step(console, f"canary request ({source})") as say:
                say(await _canary(client, contacts, window, source))
    if not contacts:
        console.print("- canary requests: left out, there is no contact to ask for")


@contextmanager
def _step(console: Console, name: str) -> Iterator[_Say]:
    say = _Say()
    try:
        yield say
    except PipelineError as exc:
        console.print(f"✗ {name}: {exc}", markup=False)
        raise
    console.print(f"✓ {name}: {say.text}", markup=False)


class _Say:
    """What a step that went well has to tell."""

    text = "ok"

    def __call__(self, text: str) -> None:
        self.text = text


@asynccontextmanager
async def _channel(settings: Settings, console: Console) -> AsyncIterator[GwsClient]:
    """The channel, with a line for how it opened."""
    async with AsyncExitStack() as stack:
        with _step(console, f"channel {settings.channel}") as say:
            client = await stack.enter_async_context(connected(settings))
            ack = "acknowledged" if client.acknowledges else "not acknowledged by this server"
            say(f"handshake and subscription; messages are {ack}")
        yield client


def _first_page(settings: Settings, session: requests.Session) -> list[Contact]:
    if settings.contact_source == "file":
        pages = FileContacts(Path(settings.contacts.removeprefix("file:"))).pages()
    else:
        pages = DirectoryContacts(settings, session).pages()
    return list(itertools.chain.from_iterable(itertools.islice(pages, 1)))


async def _canary(
    client: GwsClient, contacts: list[Contact], window: Window, source: Source
) -> str:
    """One day of one contact. Raises ServerUnusable where main cannot be asked."""
    inquiry = Inquiry(
        wire.history_path(contacts[0].contact_id),
        wire.history_body(window, source, wire.Filter()),
    )
    try:
        answer = await client.attempt(inquiry)
    except ContactUnknown:
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
        return f"this server does not offer it ({exc}); days will be marked unavailable"
    finally:
        client.forget(inquiry)
    return f"answered, {len(payloads.records(answer))} interactions around {window.start}"
