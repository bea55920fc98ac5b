"""The shell around the protocol: one login, one CometD session at a time, many questions.

Moves bytes and keeps time. What a message means is `bayeux`'s and `wire`'s to say, whose answer
it is `correlation`'s, how the channel stays open `channel`'s, whether to ask again the caller's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Self

from history_pipeline.bayeux.session import Terms
from history_pipeline.errors import (
    Ambiguous,
    ChannelMute,
    DeadlineExceeded,
    EpochLost,
    Interrupted,
    Overloaded,
    PipelineError,
    SessionLost,
    Throttled,
)
from history_pipeline.gws.channel import Channel, Tally
from history_pipeline.gws.epoch import Epoch
from history_pipeline.gws.inquiry import Answer, Inquiry
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.gws.limiting import Limiter, Limits
from history_pipeline.gws.login import HTTP_TIMEOUT, Login
from history_pipeline.gws.pacing import Pace
from history_pipeline.gws.places import LOOKS, Places
from history_pipeline.gws.transport import Transport

log = logging.getLogger(__name__)

_LOOKS = 0.01
"""Seconds after which it is looked whether this process comes late."""

__all__ = ["Answer", "GwsClient", "Inquiry"]


class GwsClient:
    """Asks questions of one server. `async with` opens and closes the channel.

    `deadline` is in seconds from acceptance to notification, `canary_interval` in seconds of
    silence. `in_flight` are the most questions at once, to be lowered as far as `floor` where the
    server needs it (None: never); `hours_bound` tells how many there may be in so many seconds,
    None where the hours say nothing. `patience` bounds how long the server may be unusable,
    `first_patience` the same before the channel was ever open.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        notifications_path: str,
        channel: str,
        deadline: float,
        canary_interval: float,
        in_flight: int,
        pace: Pace,
        floor: int | None = None,
        hours_bound: Callable[[float], int | None] | None = None,
        patience: float = PATIENCE,
        first_patience: float = 10.0,
    ) -> None:
        self._login = Login(transport)
        self._pace = pace
        self._deadline = deadline
        self._limiter = Limiter(in_flight, in_flight if floor is None else floor)
        # what is asked shortly before the hours begin is in flight when they do: it was answered
        # or given up by then if the bound holds so much earlier
        lead = HTTP_TIMEOUT + deadline + LOOKS
        self._places = Places(self._limiter, hours_bound and (lambda: hours_bound(lead)))
        self._flying = 0
        self._ended = 0
        """Attempts that nothing has interrupted."""
        self._is_looked_at = False
        self._channel = Channel(
            self._login,
            path=notifications_path,
            channel=channel,
            deadline=deadline,
            canary_interval=canary_interval,
            slots=self._places,
            pace=pace,
            patience=patience,
            first_patience=first_patience,
        )

    async def __aenter__(self) -> Self:
        self._channel.start()
        try:
            await self.ready()
        except BaseException:
            await self._channel.stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.stop()

    @property
    def tally(self) -> Tally:
        return self._channel.tally

    @property
    def limits(self) -> Limits:
        """How many questions were allowed at once so far."""
        return self._limiter.limits()

    @property
    def acknowledges(self) -> bool:
        """Whether the server echoed the `ack` extension."""
        return self._channel.acknowledges

    @property
    def terms(self) -> Terms | None:
        """What the server told of itself when the channel was last opened."""
        return self._channel.terms

    @property
    def is_guarded(self) -> bool:
        """Whether the server wants a CSRF token."""
        return self._login.is_guarded

    @property
    def outstanding(self) -> int:
        """Questions, and reference ids that somebody waits for; none once all are forgotten."""
        return self._channel.outstanding

    async def ready(self) -> None:
        """Returns when questions can be asked. Raises ServerUnusable when they never can."""
        await self._channel.epoch()

    async def attempt(self, inquiry: Inquiry) -> Answer:
        """Asks once and waits for the answer.

        Raises AttemptSpent or Interrupted where asking again may help, RequestRefused or
        ContactUnknown where it will not, ServerUnusable when the run must end.
        """
        while True:
            # a place is not held while the channel is opened: a canary may need it
            epoch = await self._channel.epoch()
            began, ended = asyncio.get_running_loop().time(), self._ended
            await self._places.take(is_next=inquiry.is_next)
            try:
                if self._ended > ended:
                    inquiry.yielded += asyncio.get_running_loop().time() - began
                # all who waited come at once: the pace is asked last
                await self._pace.admit()
                if not self._channel.is_current(epoch):
                    inquiry.is_next = True
                    continue
                if inquiry.answer is not None:
                    return inquiry.answer
                return await self._in_flight(epoch, inquiry)
            finally:
                self._places.give_back()

    async def _in_flight(self, epoch: Epoch, inquiry: Inquiry) -> Answer:
        self._flying += 1
        self._look_at_ourselves()
        ticket = self._limiter.admitted(self._flying)
        try:
            answer = await self._attempt(epoch, inquiry)
        except PipelineError as exc:
            inquiry.is_next = isinstance(exc, Interrupted)
            self._ended += not inquiry.is_next
            self._observe(ticket, inquiry, exc)
            await inquiry.quiet(self._deadline)
            raise
        else:
            self._ended += 1
            self._observe(ticket, inquiry)
            # an earlier attempt's answer may have come: this one is in flight, and keeps its place
            await inquiry.quiet(self._deadline)
            return answer
        finally:
            self._flying -= 1

    def _look_at_ourselves(self) -> None:
        """How late this process comes to what is due; only while questions are asked, so that
        nothing goes on for ever."""
        if self._is_looked_at:
            return
        self._is_looked_at = True
        loop = asyncio.get_running_loop()
        due = loop.time() + _LOOKS

        def look() -> None:
            self._is_looked_at = False
            self._limiter.was_late(loop.time() - due)

        loop.call_at(due, look)

    def _observe(self, ticket: int, inquiry: Inquiry, exc: PipelineError | None = None) -> None:
        """What the end of an attempt tells of how busy the server is."""
        now = asyncio.get_running_loop().time()
        if isinstance(exc, Throttled):
            self._limiter.refused(ticket, now)
        elif isinstance(exc, Overloaded):
            self._limiter.faulted(ticket, now)
        elif isinstance(exc, DeadlineExceeded) and inquiry.accepted is not None:
            self._limiter.answered(ticket, self._deadline, now)
        elif exc is None and inquiry.seconds is not None:
            self._limiter.answered(ticket, inquiry.seconds, now)

    async def _attempt(self, epoch: Epoch, inquiry: Inquiry) -> Answer:
        if id(inquiry) not in epoch.inquiries:
            inquiry.reference_ids = []
        answer = inquiry.waiter()
        epoch.inquiries[id(inquiry)] = inquiry
        try:
            await self._post(epoch, inquiry)
            async with asyncio.timeout(self._deadline):
                return await asyncio.shield(answer)
        except TimeoutError:
            raise DeadlineExceeded(f"no notification within {self._deadline:g} s") from None
        except ChannelMute:
            before, inquiry.muted_at = inquiry.muted_at, self.tally.answers
            if before is not None and self.tally.answers > before:
                # the channel delivers, to others: it is this question that gets no answer
                raise DeadlineExceeded("no notification, while others were answered") from None
            raise
        finally:
            if not answer.done():
                answer.cancel()
            elif not answer.cancelled():
                answer.exception()  # an epoch that ended while we were posting set it unheard

    def forget(self, inquiry: Inquiry) -> None:
        """Nobody waits for this answer any more."""
        self._channel.forget(inquiry)

    async def _post(self, epoch: Epoch, inquiry: Inquiry) -> None:
        """Sends the question until it has a reference id of its own; mends a lost HTTP session
        once."""
        age, is_mended = self._login.age, False
        while True:
            try:
                await self._channel.post(epoch, inquiry)
            except Ambiguous as exc:
                log.info("asking again: %s", exc)
            except SessionLost:
                if is_mended:
                    raise
                is_mended = True
                # a new HTTP session is a new epoch: the server delivers to the channel of the
                # session in which a question was asked
                if await self._login.mend(age):
                    self._channel.end_epoch(epoch, EpochLost("the HTTP session was replaced"))
            else:
                return
            await self._pace.admit()
