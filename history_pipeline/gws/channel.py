"""The CometD channel and the login under it, kept open by one task.

The keeper logs in, shakes hands, subscribes and keeps the heartbeat going, apart from whatever
consumes the answers. When the session is lost it ends the epoch (everything outstanding gets
EpochLost) and opens the next one; when the server stays unusable beyond `patience` it gives up,
and leaves the server alone from then on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

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
    Terms,
)
from history_pipeline.errors import (
    AttemptSpent,
    ChannelMute,
    ChannelRefused,
    EpochLost,
    Interrupted,
    NotAServer,
    PipelineError,
    ServerFault,
    ServerSilent,
    ServerUnusable,
    SessionLost,
    Throttled,
)
from history_pipeline.gws import payloads, wire
from history_pipeline.gws.epoch import Epoch
from history_pipeline.gws.inquiry import Inquiry
from history_pipeline.gws.login import HTTP_TIMEOUT, Login
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.places import Places
from history_pipeline.gws.silence import Listener
from history_pipeline.gws.telling_apart import ReferenceIds
from history_pipeline.gws.wire import Notification, Reply

log = logging.getLogger(__name__)

HEARTBEAT_TRIES = 3
"""Failed connects in a row before the session is taken for lost: the server keeps it for
`maxInterval`, 10 s by default, so a cut reply need not cost the epoch."""

STEADY_SECONDS = 30.0
"""An epoch that lasted so long, or answered anything, shows that the server is usable."""

FAREWELL_SECONDS = 2.0
LONGEST_PAUSE = 10.0


@dataclass(slots=True)
class Tally:
    """What happened on the way; counts only."""

    handshakes: int = 0
    notifications: int = 0
    answers: int = 0
    unmatched: int = 0
    throttled: int = 0


class Channel:
    """Epoch after epoch. `start` and `stop` bound the keeper's life."""

    def __init__(
        self,
        login: Login,
        *,
        path: str,
        channel: str,
        deadline: float,
        canary_interval: float,
        slots: Places,
        pace: Pace,
        patience: float,
        first_patience: float,
    ) -> None:
        self._login = login
        self._path = path
        self._channel = channel
        self._deadline = deadline
        self._pace = pace
        self._patience = patience
        self._first_patience = first_patience
        self._epoch: Epoch | None = None
        self._changed = asyncio.Event()
        self._fatal: ServerUnusable | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._listener = Listener(canary_interval, deadline, pace, slots, self._post)
        self._was_mute = False
        self._posts = 0
        self._posts_ended = asyncio.Event()
        self._reference_ids = ReferenceIds(deadline)
        self.tally = Tally()
        self.acknowledges = False
        self.terms: Terms | None = None

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep(), name="gws-channel")
        self._keeper.add_done_callback(self._keeper_ended)

    async def stop(self) -> None:
        """Ends the keeper, and says farewell to the server."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
            self._keeper = None
        await self._listener.stop()
        epoch, self._epoch = self._epoch, None
        if epoch is not None:
            await self._part(epoch)

    async def epoch(self) -> Epoch:
        """The epoch in which questions can be asked now. Raises ServerUnusable when they never
        can."""
        while True:
            if self._fatal is not None:
                raise self._fatal
            if self._epoch is not None:
                return self._epoch
            await self._changed.wait()

    def is_current(self, epoch: Epoch) -> bool:
        return self._epoch is epoch

    def end_epoch(self, epoch: Epoch, reason: PipelineError) -> None:
        """Everything outstanding in it is lost, and the keeper opens the next one."""
        if epoch.over.is_set():
            return
        epoch.over.set()
        if self._epoch is epoch:
            self._epoch = None
        self._reference_ids.lost(epoch)
        for inquiry in epoch.inquiries.values():
            inquiry.lost(reason if isinstance(reason, EpochLost) else EpochLost(str(reason)))
        epoch.inquiries.clear()
        self._listener.epoch_lost()

    def give_up(self, reason: ServerUnusable) -> None:
        """Every question from now on gets this; the server is left alone."""
        self._fatal = self._fatal or reason
        epoch = self._epoch
        if epoch is not None:
            for inquiry in epoch.inquiries.values():
                inquiry.lost(self._fatal)
            epoch.inquiries.clear()
        self._changed.set()
        if self._keeper is not None and self._keeper is not asyncio.current_task():
            self._keeper.cancel()

    async def post(self, epoch: Epoch, inquiry: Inquiry) -> None:
        """Sends the question and learns its reference id. Raises what the reply says."""
        await self._reference_ids.until_clear(epoch)
        if not self.is_current(epoch):
            raise EpochLost("the CometD session ended before the question was sent")
        await self._post(epoch, inquiry)

    async def _post(self, epoch: Epoch, inquiry: Inquiry) -> None:
        ticket = epoch.correlator.sending(inquiry)
        inquiry.sending += 1
        self._posts += 1
        try:
            reply = await self._login.send("POST", inquiry.path, inquiry.body)
            reference_id = wire.reference_id(reply)
        except Throttled as exc:
            self.throttled(exc)
            raise
        except AttemptSpent:
            self._reference_ids.nameless(epoch)
            raise
        else:
            self._pace.relax()
            epoch.owes()
            self._accepted(epoch, inquiry, ticket, reference_id)
        finally:
            inquiry.sent()
            epoch.correlator.not_accepted(ticket)
            if not epoch.over.is_set():
                for waiting, notification in epoch.correlator.released():
                    self._deliver(epoch, waiting, notification)
            self._posts -= 1
            self._posts_ended.set()

    def _accepted(self, epoch: Epoch, inquiry: Inquiry, ticket: int, reference_id: str) -> None:
        is_doubtful = epoch.correlator.is_doubtful(ticket, reference_id)
        try:
            self._reference_ids.accepted(epoch, inquiry, reference_id, is_doubtful)
        except EpochLost as exc:
            self.end_epoch(epoch, exc)
            raise
        inquiry.was_accepted(reference_id)
        early = epoch.correlator.accepted(ticket, reference_id)
        if early is not None:
            self._deliver(epoch, inquiry, early)

    def _deliver(self, epoch: Epoch, inquiry: Inquiry, notification: Notification) -> None:
        self._reference_ids.answered(epoch, notification.reference_id)
        if not notification.failed:
            self.tally.answers += 1
            self._listener.answered(inquiry, payloads.size(notification.records))
        inquiry.deliver(notification)

    def forget(self, inquiry: Inquiry) -> None:
        """Nobody waits for this answer any more."""
        if self._epoch is not None and id(inquiry) in self._epoch.inquiries:
            self._epoch.forget(inquiry)

    @property
    def outstanding(self) -> int:
        epoch = self._epoch
        return len(epoch.inquiries) + epoch.correlator.outstanding if epoch is not None else 0

    def throttled(self, exc: Throttled) -> float:
        """Obeys a 429 or 503, wherever it came; returns the seconds of the rest."""
        self.tally.throttled += 1
        seconds = self._pace.hold(exc.retry_after)
        log.warning("HTTP %s: no requests for %.1f s", exc.status, seconds)
        if seconds > self._patience:
            self.give_up(ServerSilent(f"the server asks to be left alone for {seconds:.0f} s"))
        return seconds

    # -- the keeper ---------------------------------------------------------------------------

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        failing_since, failures = loop.time(), 0
        while True:
            opened, answered = loop.time(), self.tally.notifications
            try:
                await self._live_one_epoch()
            except ServerUnusable as exc:
                self.give_up(exc)
                return
            except (Interrupted, AttemptSpent) as exc:
                lasted = loop.time() - opened
                steady = lasted >= STEADY_SECONDS and not isinstance(exc, ChannelMute)
                if steady or self.tally.notifications > answered:
                    failing_since, failures = loop.time(), 0
                failures += 1
                log.warning("channel lost: %s; opening it again", exc)
                pause = _pause_after(exc, min(0.1 * 2**failures, LONGEST_PAUSE))
                patience = self._patience if self.tally.handshakes else self._first_patience
                if loop.time() - failing_since + pause > patience:
                    self.give_up(ServerSilent(f"the server cannot be used: {exc}"))
                    return
                await asyncio.sleep(pause)

    async def _live_one_epoch(self) -> None:
        """Opens an epoch and beats until it is over, which it raises."""
        await self._all_sent()
        await self._reference_ids.until_openable()
        await self._login.log_in()
        epoch = Epoch(ClientSession())
        try:
            await self._open(epoch)
            await self._first_of(self._beat(epoch), self._serve(epoch), epoch.over.wait())
        except (Interrupted, AttemptSpent, ServerUnusable) as exc:
            self._was_mute = isinstance(exc, ChannelMute)
            self.end_epoch(epoch, exc)
            await self._part(epoch)
            raise
        raise EpochLost("the server's session was replaced")

    async def _all_sent(self) -> None:
        """Returns when no question is on its way. Until each has its reference id, nobody knows
        which ones are an earlier epoch's; and a session opened meanwhile would age unused."""
        while self._posts:
            self._posts_ended.clear()
            await self._posts_ended.wait()

    async def _open(self, epoch: Epoch) -> None:
        """Handshake, subscription, first connect; questions may be asked after all three."""
        session = epoch.session
        for event in await self._exchange(epoch, session.handshake()):
            if isinstance(event, Lost):
                raise ChannelRefused(
                    f"the server refused the CometD handshake ({event.reason}); check the user's "
                    "roles"
                )
            if isinstance(event, HandshakeDone):
                self.acknowledges = event.acknowledges
        if session.state is not State.SHAKEN:
            raise NotAServer(
                f"{self._path} does not answer as a CometD server; check GWS_NOTIFICATIONS_PATH"
            )
        events = await self._exchange(epoch, session.subscribe(self._channel))
        self._hear(events)
        if Subscribed(self._channel) not in events:
            raise ServerFault("the subscription was not confirmed")
        epoch.pause = self._hear(await self._exchange(epoch, session.connect()))
        self.terms = session.terms
        epoch.delivered()

    async def _beat(self, epoch: Epoch) -> None:
        """Sends connect after connect until the session is lost, which it raises."""
        failures, pause = 0, epoch.pause
        while True:
            await asyncio.sleep(pause)
            sent = asyncio.get_running_loop().time()
            try:
                held = min(epoch.session.timeout, self._patience)
                events = await self._exchange(epoch, epoch.session.connect(), held + HTTP_TIMEOUT)
            except (AttemptSpent, Interrupted) as exc:
                failures += 1
                if failures >= HEARTBEAT_TRIES or isinstance(exc, SessionLost):
                    raise EpochLost(f"the heartbeat failed: {exc}") from exc
                pause = self.throttled(exc) if isinstance(exc, Throttled) else 0.2
                continue
            failures = 0
            pause = self._hear(events)
            epoch.alive_at = sent
            if pause > self._patience:
                raise ServerSilent(f"the server advises a pause of {pause:.0f} s")

    async def _serve(self, epoch: Epoch) -> None:
        """Lets questions in, and listens for silence. After a mute epoch a canary goes first."""
        if self._was_mute:
            await self._listener.verify(epoch)
            self._was_mute = False
        self.tally.handshakes += 1
        self._epoch = epoch
        self._changed.set()
        self._changed = asyncio.Event()
        await self._listener.listen(epoch)

    async def _first_of(self, *work: Coroutine[Any, Any, Any]) -> None:
        tasks = {asyncio.create_task(each) for each in work}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _part(self, epoch: Epoch) -> None:
        """Tells the server that this session is over: one that it still holds would make it slow
        the next one of the same browser cookie down."""
        if epoch.session.state in (State.SHAKEN, State.CONNECTED):
            with contextlib.suppress(PipelineError):
                await self._exchange(epoch, epoch.session.disconnect(), FAREWELL_SECONDS)

    def _keeper_ended(self, keeper: asyncio.Task[None]) -> None:
        """A fault of ours in the keeper must not leave anybody waiting for ever."""
        exc = None if keeper.cancelled() else keeper.exception()
        if exc is not None:
            log.error("the channel's keeper broke: %s", type(exc).__name__)
            self.give_up(ServerUnusable(f"the channel broke: {type(exc).__name__}"))

    # -- messages -----------------------------------------------------------------------------

    async def _exchange(
        self, epoch: Epoch, message: dict[str, Any], timeout: float = HTTP_TIMEOUT
    ) -> list[Event]:
        """One Bayeux message out, whatever rides on its reply in."""
        reply = await self._login.send("POST", self._path, messages.encode(message), timeout)
        events = epoch.session.receive(self._read(reply))
        for event in events:
            if isinstance(event, Delivered) and event.channel == self._channel:
                epoch.delivered()
                self._take(epoch, event.data)
        return events

    def _read(self, reply: Reply) -> list[Message]:
        if reply.status == 200 and reply.body.lstrip().startswith(b"["):
            return messages.decode(reply.body)
        if reply.status == 404 and not self.tally.handshakes:
            raise NotAServer(f"{self._path} is not there (HTTP 404); check GWS_NOTIFICATIONS_PATH")
        try:
            wire.read_envelope(reply)
        except (Interrupted, AttemptSpent):
            raise
        except PipelineError as exc:
            raise ServerFault(f"the CometD reply is an error: {exc}") from exc
        raise ServerFault("the CometD reply is no array of Bayeux messages")

    def _take(self, epoch: Epoch, data: msgspec.Raw) -> None:
        notification = wire.notification(data)
        if notification is None:
            self.tally.unmatched += 1
            return
        self.tally.notifications += 1
        reference_id = notification.reference_id
        if self._reference_ids.is_ambiguous(epoch, reference_id):
            self.tally.unmatched += 1
            return
        inquiry = epoch.correlator.notified(reference_id, notification)
        if inquiry is not None:
            self._deliver(epoch, inquiry, notification)
        elif not epoch.correlator.keeps(reference_id):
            self.tally.unmatched += 1
            self._reference_ids.unmatched(reference_id)

    def _hear(self, events: list[Event]) -> float:
        """Raises what an event means for the channel; returns the pause before the next beat."""
        pause = 0.1
        for event in events:
            match event:
                case Connected(wanted):
                    pause = wanted
                case SubscriptionRefused(channel, reason):
                    raise ChannelRefused(
                        f"the server refused the subscription to {channel} ({reason}); "
                        "check GWS_CHANNEL and the user's role"
                    )
                case Lost(reason, may_retry=False):
                    # Bayeux: neither connect nor shake hands again until somebody decides to
                    raise ChannelRefused(f"the server advises not to come back ({reason})")
                case Lost(reason, pause=rest):
                    raise EpochLost(f"the CometD session was lost ({reason})", rest)
                case _:
                    pass
        return pause


def _pause_after(exc: PipelineError, usual: float) -> float:
    if isinstance(exc, Throttled) and exc.retry_after is not None:
        return exc.retry_after
    return max(usual, exc.pause) if isinstance(exc, EpochLost) else usual
