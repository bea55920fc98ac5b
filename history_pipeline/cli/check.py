"""`check`: tries the server step by step, a line a step, with what to mend where one fails; then
asks what its documentation leaves open, and shows the verdicts with the settings to use.

Changes nothing on the server: it logs in, listens, reads a page of contacts and asks for history.
While another run asks the server it only logs in and listens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from rich.console import Console

from history_pipeline import settings as settings_module
from history_pipeline.cli import check_canary, check_looking, check_table
from history_pipeline.cli.check_looking import Look
from history_pipeline.cli.check_steps import quiet_step, step
from history_pipeline.cli.display import own_console
from history_pipeline.cli.exits import Exit, status_of
from history_pipeline.contacts.directory import DirectoryContacts, open_session
from history_pipeline.contacts.listed_file import FileContacts
from history_pipeline.errors import (
    ConfigurationError,
    LockTimeout,
    PipelineError,
    ServerSilent,
    ServerUnusable,
    StorageError,
)
from history_pipeline.gws.client import GwsClient
from history_pipeline.gws.connecting import connected
from history_pipeline.gws.pacing import Pace
from history_pipeline.history.running import run
from history_pipeline.model import Contact, Window
from history_pipeline.probing import connection, env_file, finding, listed
from history_pipeline.probing.finding import Finding
from history_pipeline.probing.interview import Interview
from history_pipeline.settings import Settings
from history_pipeline.storage import locks
from history_pipeline.storage.layout import Layout

_MOMENT = 1.0
"""Seconds to wait for another run."""

_WITHIN = 50.0
"""Seconds that all of it may take: what is open by then is left open."""

_USUAL_TIMEOUT = 60.0
_DEADLINE = 35.0
"""Seconds for one answer, however short GWS_NOTIFICATION_TIMEOUT is: how long answers take is to be
found out. Whoever has raised it above the default knows of longer ones, and waits longer."""

_PATIENCE = 20.0
"""Seconds for which the server may be unusable: a check is looked at."""


def run_check(contact_id: str | None = None, write: Path | None = None) -> int:
    """Returns 0 where the pipeline can run, else the exit status of what stands in its way."""
    check = _Check(own_console(), contact_id or None, write)
    try:
        check.run()
    except PipelineError as exc:
        return status_of(exc)  # its line has been printed with its step
    return Exit.COMPLETE


@dataclass(slots=True)
class _Check:
    """`contact_id` is whom to ask about, `write` the file for the settings."""

    console: Console
    contact_id: str | None
    write: Path | None
    findings: list[Finding] = field(default_factory=list)
    why_not: str = "the steps before it have failed"
    busy: str | None = None
    trouble: ServerUnusable | None = None
    look: Look | None = None
    has_activity: bool | None = None
    began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        with ExitStack() as turn:
            with step(self.console, "configuration") as say:
                settings = settings_module.load()
                if self.write is not None:
                    env_file.refuse(self.write)
                self.busy = _take_turn(settings, turn)
                say(f"{settings.url}, days in {settings.timezone}")
            try:
                self._steps(settings)
            finally:
                if self.findings:
                    if self.look is not None:
                        self.findings.append(self.look.finding(settings, self.has_activity))
                    found = finding.completed(self.findings, self.why_not)
                    check_table.show(self.console, found)
            self._write(settings)
        if self.trouble is not None:
            raise self.trouble
        self.console.print(
            "the pipeline can run; next: history-pipeline backfill --from DAY --to DAY"
        )

    def _steps(self, settings: Settings) -> None:
        with open_session(settings, is_patient=False) as session:
            with step(self.console, "connection and login") as say:
                me = check_looking.me(settings, session)
                say(f"logged in as {settings.username}")
            self.findings += [connection.login(settings), connection.roles(me)]
            if not self.busy:
                self.findings.append(check_looking.features(settings, session))
            contacts = self._contacts(settings, session)
        run(self._channel(settings, contacts))

    def _contacts(self, settings: Settings, session: requests.Session) -> list[Contact]:
        """Whom to ask for; looks at what is listed as contacts, too."""
        contacts: list[Contact] = []
        source = settings.contact_source
        if source == "file":
            with step(self.console, "contacts (file)") as say:
                path = Path(settings.contacts.removeprefix("file:"))
                contacts = check_looking.first_page(FileContacts(path))
                say(check_looking.counted(contacts))
        if self.busy:
            return contacts
        if source != "gws":
            self.look = check_looking.look(settings, session)
            return contacts
        with step(self.console, "contacts (gws)") as say:
            page = check_looking.first_page(DirectoryContacts(settings, session))
            self.look = Look(page)
            say(check_looking.counted(page))
            if listed.kind_of(page) is listed.Kind.DIRECTORY:
                # the open questions can be asked about somebody else all the same
                self.trouble = ServerUnusable(listed.way_out(settings.contacts_path))
                say.goes_wrong(str(self.trouble))
                return []
        return page

    async def _channel(self, settings: Settings, contacts: list[Contact]) -> None:
        pace = Pace(settings.requests_per_second, is_fresh=False)
        async with _opened(settings, pace, self.console) as client:
            terms = client.terms
            assert terms is not None  # noqa: S101 - the channel is open
            self.findings += connection.channel(settings, terms, is_guarded=client.is_guarded)
            if self.busy:
                self.why_not = f"not asked: another run is asking ({self.busy})"
                self.console.print(
                    f"- requests: left out, another run is asking ({self.busy})", markup=False
                )
                return
            until = asyncio.get_running_loop().time() + self._left()
            try:
                seconds = await self._canaries(client, settings, contacts, until)
            except ServerSilent:
                self.findings.append(connection.silent(settings))
                raise
            await self._interview(client, settings, pace, contacts, until, seconds)

    def _left(self) -> float:
        return max(0.0, self.began + _WITHIN - time.monotonic())

    async def _canaries(
        self, client: GwsClient, settings: Settings, contacts: list[Contact], until: float
    ) -> list[float]:
        """How long their answers took."""
        yesterday = datetime.now(UTC).astimezone(settings.zone).date() - timedelta(days=1)
        window = Window(yesterday, yesterday + timedelta(days=1))
        ids = [self.contact_id] if self.contact_id else [each.contact_id for each in contacts[:1]]
        if settings.contact_source == "activity":
            with step(self.console, "contacts (activity)") as say:
                found = await check_canary.active(client, settings, window, until, _PATIENCE)
                ids = ids or found
                say(f"{len(found)} active around {yesterday}")
        if not ids:
            self.console.print("- canary requests: left out, there is no contact to ask for")
            return []
        is_given = self.contact_id is not None
        answers = [
            asyncio.create_task(
                check_canary.ask(client, ids[0], window, source, is_given, _PATIENCE)
            )
            for source in settings.sources
        ]
        try:
            for source, answer in zip(settings.sources, answers, strict=True):
                with step(self.console, f"canary request ({source})") as say:
                    say((await answer)[0])
        finally:
            for answer in answers:
                answer.cancel()
            await asyncio.gather(*answers, return_exceptions=True)
        return [seconds for _, seconds in map(asyncio.Task.result, answers) if seconds is not None]

    async def _interview(
        self,
        client: GwsClient,
        settings: Settings,
        pace: Pace,
        contacts: list[Contact],
        until: float,
        seconds: list[float],
    ) -> None:
        """Asks what is open; a line says so, for it takes some seconds."""
        self.console.print("- open questions: some two dozen requests, within the minute")
        interview = Interview(
            client,
            lambda: connected(settings, _PATIENCE, deadline=_deadline(settings), pace=pace),
            settings,
            datetime.now(UTC).astimezone(settings.zone).date(),
            until,
            self.contact_id,
            [each.contact_id for each in contacts],
            seconds,
        )
        try:
            with quiet_step(self.console, "open questions"):
                await interview.hold()
        finally:
            self.findings += interview.findings
            self.has_activity = interview.has_activity

    def _write(self, settings: Settings) -> None:
        if self.write is None:
            return
        with step(self.console, f"settings to {self.write}") as say:
            if self.busy:
                raise LockTimeout(f"nothing was found out, so nothing is written: {self.busy}")
            env_file.write(
                self.write, env_file.text_of(settings, finding.settings_of(self.findings))
            )
            say("written, for its owner alone and without a password")


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


@asynccontextmanager
async def _opened(settings: Settings, pace: Pace, console: Console) -> AsyncIterator[GwsClient]:
    """The channel, with a line for how it opened."""
    async with AsyncExitStack() as stack:
        with step(console, f"channel {settings.channel}") as say:
            client = await stack.enter_async_context(
                connected(settings, _PATIENCE, deadline=_deadline(settings), pace=pace)
            )
            ack = "acknowledged" if client.acknowledges else "not acknowledged by this server"
            say(f"handshake and subscription; messages are {ack}")
        yield client


def _deadline(settings: Settings) -> float:
    told = settings.notification_timeout
    return told if told > _USUAL_TIMEOUT else _DEADLINE
