"""The shell around the protocol: one login, one CometD session at a time, many questions.

Moves bytes and keeps time. What a message means is `bayeux`'s and `wire`'s to say, whose answer
it is `correlation`'s, whether to ask again the caller's.

One task, the keeper, owns the channel: it logs in, shakes hands, subscribes and keeps the
heartbeat going, apart from whatever consumes the answers. When the session is lost it ends the
epoch (everything outstanding gets EpochLost) and opens the next one; when the server stays
unusable beyond `patience` it gives up, and every question from then on gets ServerUnusable.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from history_pipeline.bayeux import messages
from history_pipeline.bayeux.messages import Message
from history_pipeline.bayeux.session import (
    ClientSession,
    Connected,
    Delivered,
    Event,
    HandshakeDone,
    Lost,
    State,
    Subscribed,
    SubscriptionRefused,
)
from history_pipeline.errors import (
    AttemptSpent,
    ChannelRefused,
    DeadlineExceeded,
    EpochLost,
    Interrupted,
    LoginRefused,
    NotAServer,
    PipelineError,
    ServerFault,
    ServerSilent,
    ServerUnusable,
    SessionLost,
    Throttled,
)
from history_pipeline.gws import wire
from history_pipeline.gws.correlation import Correlator
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.transport import Transport
from history_pipeline.gws.wire import Notification, Reply

log = logging.getLogger(__name__)

HTTP_TIMEOUT = 30.0
"""Seconds for one HTTP reply; a connect is held longer, by what the server says."""

HEARTBEAT_TRIES = 3
"""Failed connects in a row before the session is taken for lost: the server keeps it for
`maxInterval`, 10 s by default, so a cut reply need not cost the epoch."""

Answer = list[msgspec.Raw]
"""The records of one answer, undecoded."""


@dataclass(slots=True)
class Inquiry:
    """One question and, while it is asked, the reference ids under which an answer may come."""

    path: str
    body: bytes
    reference_ids: list[str] = field(default_factory=list)
    answer: asyncio.Future[Answer] | None = None

    def deliver(self, notification: Notification) -> None:
        """A good answer settles the inquiry whichever attempt it is for; an errorMessage ends
        the newest attempt only, because the older ones are spent already."""
        if self.answer is None or self.answer.done():
            return
        if not notification.failed:
            self.answer.set_result(notification.records)
        elif self.reference_ids and notification.reference_id == self.reference_ids[-1]:
            self.answer.set_exception(wire.answer_failed())


@dataclass(slots=True, eq=False)
class _Epoch:
    """The life of one CometD client id."""

    session: ClientSession
    correlator: Correlator[Inquiry, Notification] = field(default_factory=Correlator)
    inquiries: dict[int, Inquiry] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What happened on the way; counts only."""

    handshakes: int = 0
    logins: int = 0
    notifications: int = 0
    unmatched: int = 0
    throttled: int = 0


class GwsClient:
    """Asks questions of one server. `async with` opens and closes the channel."""

    def __init__(
        self,
        transport: Transport,
        *,
        notifications_path: str,
        channel: str,
        deadline: float,
        pace: Pace,
        patience: float = 300.0,
        first_patience: float = 10.0,
    ) -> None:
        self._transport = transport
        self._notifications_path = notifications_path
        self._channel = channel
        self._deadline = deadline
        self._pace = pace
        self._patience = patience
        self._first_patience = first_patience
        self._csrf: dict[str, str] = {}
        self._csrf_age = 0
        self._login_lock = asyncio.Lock()
        self._epoch: _Epoch | None = None
        self._changed = asyncio.Event()
        self._fatal: ServerUnusable | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.tally = Tally()
        self.acknowledges = False

    async def __aenter__(self) -> Self:
        self._keeper = asyncio.create_task(self._keep(), name="gws-channel")
        self._keeper.add_done_callback(self._keeper_ended)
        try:
            await self.ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stop()

    async def ready(self) -> None:
        """Returns when questions can be asked. Raises ServerUnusable when they never can."""
        await self._current_epoch()

    # -- questions ----------------------------------------------------------------------------

    async def attempt(self, inquiry: Inquiry) -> Answer:
        """Asks once and waits for the answer.

        Raises AttemptSpent or Interrupted where asking again may help, RequestRefused or
        ContactUnknown where it will not, ServerUnusable when the run must end.
        """
        epoch = await self._current_epoch()
        await self._pace.admit()
        if id(inquiry) not in epoch.inquiries:
            inquiry.reference_ids = []
        inquiry.answer = asyncio.get_running_loop().create_future()
        epoch.inquiries[id(inquiry)] = inquiry
        try:
            await self._post(epoch, inquiry)
            async with asyncio.timeout(self._deadline):
                return await asyncio.shield(inquiry.answer)
        except TimeoutError:
            raise DeadlineExceeded(f"no notification within {self._deadline:g} s") from None
        finally:
            if not inquiry.answer.done():
                inquiry.answer.cancel()
            elif not inquiry.answer.cancelled():
                inquiry.answer.exception()

    def forget(self, inquiry: Inquiry) -> None:
        """Nobody waits for this answer any more."""
        if self._epoch is not None and self._epoch.inquiries.pop(id(inquiry), None):
            self._epoch.correlator.forget(inquiry.reference_ids)

    async def _post(self, epoch: _Epoch, inquiry: Inquiry) -> None:
        """Sends the question; mends a lost HTTP session once."""
        age = self._csrf_age
        try:
            await self._post_once(epoch, inquiry)
        except SessionLost:
            await self._log_in_again(epoch, age)
            await self._post_once(epoch, inquiry)

    async def _post_once(self, epoch: _Epoch, inquiry: Inquiry) -> None:
        if self._epoch is not epoch:
            raise EpochLost("the CometD session ended before the question was sent")
        ticket = epoch.correlator.sending(inquiry)
        try:
            reply = await self._send("POST", inquiry.path, inquiry.body)
            reference_id = wire.reference_id(reply)
        except Throttled as exc:
            epoch.correlator.not_accepted(ticket)
            self._throttled(exc)
            raise
        except BaseException:
            epoch.correlator.not_accepted(ticket)
            raise
        self._pace.relax()
        inquiry.reference_ids.append(reference_id)
        early = epoch.correlator.accepted(ticket, reference_id)
        if early is not None:
            inquiry.deliver(early)

    def _throttled(self, exc: Throttled) -> None:
        self.tally.throttled += 1
        seconds = self._pace.hold(exc.retry_after)
        log.warning("HTTP %s: no requests for %.1f s", exc.status, seconds)
        if seconds > self._patience:
            self._give_up(ServerSilent(f"the server asks to be left alone for {seconds:.0f} s"))

    # -- login --------------------------------------------------------------------------------

    async def _log_in(self) -> None:
        """GET /me: proves the credentials and brings the CSRF token."""
        reply = await self._send("GET", wire.ME_PATH, None)
        try:
            wire.read_envelope(reply)
        except SessionLost as exc:
            if reply.is_html and reply.status == 200:
                raise NotAServer(
                    "the URL answers with an HTML page, not as a GWS; check GWS_URL"
                ) from exc
            raise LoginRefused(
                f"the server refused the login ({exc}); check GWS_USERNAME, GWS_PASSWORD and "
                "GWS_BASIC_ENCODING"
            ) from exc
        except Interrupted:
            raise
        except ServerFault as exc:
            if reply.status < 500 and not reply.body.lstrip().startswith(b"{"):
                raise NotAServer(f"{wire.ME_PATH} does not answer as a GWS does") from exc
            raise
        except PipelineError as exc:
            raise NotAServer(
                f"{wire.ME_PATH} answers {exc}: this is no GWS, or not its base URL; check GWS_URL"
            ) from exc
        name = reply.headers.get("x-csrf-header")
        token = reply.headers.get("x-csrf-token")
        self._csrf = {name: token} if name and token else {}
        self._csrf_age += 1
        self.tally.logins += 1

    async def _log_in_again(self, epoch: _Epoch, age: int) -> None:
        """Mends a lost HTTP session once for all who noticed. A new session is a new epoch: the
        server delivers to the channel of the session in which a question was asked."""
        async with self._login_lock:
            if self._csrf_age == age:
                before = self._transport.cookie("JSESSIONID")
                await self._log_in()
                if self._transport.cookie("JSESSIONID") != before:
                    self._end_epoch(epoch, "the HTTP session was replaced")
        if self._epoch is not epoch:
            raise EpochLost("the HTTP session was replaced")

    # -- the channel --------------------------------------------------------------------------

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        failing_since, failures = loop.time(), 0
        while True:
            patience = self._patience if self.tally.handshakes else self._first_patience
            try:
                epoch = await self._open_epoch()
                failing_since, failures = loop.time(), 0
                await self._beat(epoch)
            except ServerUnusable as exc:
                self._give_up(exc)
                return
            except (Interrupted, AttemptSpent) as exc:
                self._end_epoch(self._epoch, str(exc))
                if failures == 0:
                    failing_since = loop.time()
                failures += 1
                log.warning("channel lost: %s; opening it again", exc)
                pause = min(0.1 * 2**failures, 10.0)
                if isinstance(exc, Throttled) and exc.retry_after is not None:
                    pause = exc.retry_after
                if loop.time() - failing_since + pause > patience:
                    self._give_up(ServerSilent(f"the server cannot be used: {exc}"))
                    return
                await asyncio.sleep(pause)

    async def _open_epoch(self) -> _Epoch:
        """Login, handshake, first connect, subscription; questions may be asked after all."""
        async with self._login_lock:
            await self._log_in()
        session = ClientSession()
        epoch = _Epoch(session)
        for event in await self._exchange(epoch, session.handshake()):
            match event:
                case HandshakeDone(acknowledges):
                    self.acknowledges = acknowledges
                case Lost(reason):
                    raise ChannelRefused(f"the server refused the CometD handshake ({reason})")
                case _:
                    pass
        if session.state is not State.SHAKEN:
            raise NotAServer(
                f"{self._notifications_path} does not answer as a CometD server; "
                "check GWS_NOTIFICATIONS_PATH"
            )
        # before the first connect, so that its reply opens an epoch that misses nothing
        self._hear(await self._exchange(epoch, session.subscribe(self._channel)))
        self._hear(await self._exchange(epoch, session.connect()))
        self.tally.handshakes += 1
        self._epoch = epoch
        self._changed.set()
        self._changed = asyncio.Event()
        return epoch

    async def _beat(self, epoch: _Epoch) -> None:
        """Sends connect after connect until the session is lost, which it raises."""
        failures = 0
        while True:
            if self._epoch is not epoch:
                raise EpochLost("the HTTP session was replaced")
            session = epoch.session
            try:
                events = await self._exchange(
                    epoch, session.connect(), timeout=session.timeout + HTTP_TIMEOUT
                )
            except (AttemptSpent, Interrupted) as exc:
                failures += 1
                if failures >= HEARTBEAT_TRIES or isinstance(exc, SessionLost):
                    raise EpochLost(f"the heartbeat failed: {exc}") from exc
                await asyncio.sleep(_pause_after(exc))
                continue
            failures = 0
            pause = self._hear(events)
            if pause:
                await asyncio.sleep(pause)

    async def _exchange(
        self, epoch: _Epoch, message: dict[str, object], timeout: float = HTTP_TIMEOUT
    ) -> list[Event]:
        """One Bayeux message out, whatever rides on its reply in."""
        reply = await self._send(
            "POST", self._notifications_path, messages.encode(message), timeout
        )
        received = self._read_channel(reply)
        events = epoch.session.receive(received)
        for event in events:
            if isinstance(event, Delivered) and event.channel == self._channel:
                self._take(epoch, event.data)
        return events

    def _read_channel(self, reply: Reply) -> list[Message]:
        if reply.status != 200 or not reply.body.lstrip().startswith(b"["):
            if reply.status == 404 and not self.tally.handshakes:
                raise NotAServer(
                    f"{self._notifications_path} is not there (HTTP 404); "
                    "check GWS_NOTIFICATIONS_PATH"
                )
            try:
                wire.read_envelope(reply)
            except PipelineError as exc:
                if isinstance(exc, Interrupted | AttemptSpent):
                    raise
                raise ServerFault(f"the CometD reply is an error: {exc}") from exc
            raise ServerFault("the CometD reply is no array of Bayeux messages")
        return messages.decode(reply.body)

    def _take(self, epoch: _Epoch, data: msgspec.Raw) -> None:
        notification = wire.notification(data)
        if notification is None:
            self.tally.unmatched += 1
            return
        self.tally.notifications += 1
        inquiry = epoch.correlator.notified(notification.reference_id, notification)
        if inquiry is None:
            self.tally.unmatched += 1
        else:
            inquiry.deliver(notification)

    def _hear(self, events: list[Event]) -> float:
        """Raises what an event means for the channel; returns the pause before the next beat."""
        pause = 0.1
        for event in events:
            match event:
                case Connected(wanted):
                    pause = wanted
                case Subscribed():
                    pause = 0.0
                case SubscriptionRefused(channel, reason):
                    raise ChannelRefused(
                        f"the server refused the subscription to {channel} ({reason}); "
                        "check GWS_CHANNEL and the user's role"
                    )
                case Lost(reason, may_retry):
                    if not may_retry:
                        log.warning("the server advises not to reconnect (%s)", reason)
                    raise EpochLost(f"the CometD session was lost ({reason})")
                case _:
                    pass
        return pause

    def _end_epoch(self, epoch: _Epoch | None, reason: str) -> None:
        if epoch is None or self._epoch is not epoch:
            return
        self._epoch = None
        for inquiry in epoch.inquiries.values():
            if inquiry.answer is not None and not inquiry.answer.done():
                inquiry.answer.set_exception(EpochLost(reason))
        epoch.inquiries.clear()

    def _give_up(self, reason: ServerUnusable) -> None:
        self._fatal = self._fatal or reason
        epoch, self._epoch = self._epoch, None
        for inquiry in epoch.inquiries.values() if epoch else ():
            if inquiry.answer is not None and not inquiry.answer.done():
                inquiry.answer.set_exception(self._fatal)
        self._changed.set()

    def _keeper_ended(self, keeper: asyncio.Task[None]) -> None:
        """A fault of ours in the keeper must not leave anybody waiting for ever."""
        exc = None if keeper.cancelled() else keeper.exception()
        if exc is not None:
            log.error("the channel's keeper broke", exc_info=exc)
            self._give_up(ServerUnusable(f"the channel broke: {type(exc).__name__}"))

    async def _current_epoch(self) -> _Epoch:
        while True:
            if self._fatal is not None:
                raise self._fatal
            if self._epoch is not None:
                return self._epoch
            await self._changed.wait()

    async def _stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            self._keeper = None
        epoch, self._epoch = self._epoch, None
        if epoch is not None and epoch.session.state is State.CONNECTED:
            with contextlib.suppress(PipelineError):
                await self._exchange(epoch, epoch.session.disconnect(), timeout=2.0)

    async def _send(
        self, method: str, path: str, body: bytes | None, timeout: float = HTTP_TIMEOUT
    ) -> Reply:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers |= {"Content-Type": "application/json", **self._csrf}
        return await self._transport.send(method, path, headers, body, timeout)


def _pause_after(exc: PipelineError) -> float:
    if isinstance(exc, Throttled) and exc.retry_after is not None:
        return exc.retry_after
    return 0.2
