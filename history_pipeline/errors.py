"""Every error that the pipeline raises on purpose, grouped by what the caller can do.

    PipelineError
    ├── ConfigurationError     the operator mends settings or arguments      (status 2)
    ├── ServerUnusable         the run ends; the operator looks at the server (status 3)
    │   ├── NotAServer         what answers is no GWS
    │   ├── LoginRefused       credentials are wrong, or may not do this
    │   ├── ChannelRefused     no handshake, or no subscription
    │   └── ServerSilent       unreachable or mute beyond the bound
    ├── StorageError           disk, lock or file; what was answered is kept  (status 4)
    │   ├── LockTimeout        another process holds the lock
    │   ├── MemoryExhausted    DuckDB's limit does not do; more may
    │   ├── Unwritable         the disk is full, read-only or broken; mended, it goes on
    │   ├── Damaged            a file is not what was written there; the message says what to do
    │   └── ModelError         dbt could not build or test the models
    ├── AttemptSpent           ask again; counts against GWS_MAX_ATTEMPTS
    │   ├── DeadlineExceeded   accepted, but no notification in time
    │   ├── AnswerFailed       the notification carries an errorMessage
    │   └── ServerFault        5xx other than 503, internal status codes, reset or cut replies
    │       └── Overloaded     status code 4, as where all that could answer is busy
    ├── Interrupted            ask again; spends no attempt, bounded in time
    │   ├── Unreachable        no connection; nothing was sent
    │   ├── EpochLost          the CometD session ended under the request
    │   │   └── ChannelMute    it accepts and delivers nothing, so it was ended
    │   ├── Ambiguous          an answer to it could not be told from an earlier session's
    │   ├── SessionLost        the HTTP session or its CSRF token is not valid any more
    │   └── Throttled          429 or 503; carries how long to hold back
    ├── RequestRefused         asking again is of no use: this request has failed
    └── ContactUnknown         the server does not know this contact

Errors carry facts and ids, never payloads, secrets or customers' text.
"""

from __future__ import annotations

from collections.abc import Iterator


class PipelineError(Exception):
    """Base of all; `str()` of it may be shown to an operator."""


class ConfigurationError(PipelineError):
    """Settings or arguments are wrong; the message names every mistake and its mend."""


class ServerUnusable(PipelineError):
    """The server cannot be used for this run."""


class NotAServer(ServerUnusable):
    """Something answers at the URL, but not a GWS."""


class LoginRefused(ServerUnusable):
    """The credentials were refused, or the request went through as anonymous."""


class ChannelRefused(ServerUnusable):
    """The server refused the CometD handshake or the subscription."""


class ServerSilent(ServerUnusable):
    """The server could not be reached, or kept failing, for longer than is bearable."""


class StorageError(PipelineError):
    """Something could not be stored, loaded, modelled or published."""


class LockTimeout(StorageError):
    """Another process held a lock beyond the deadline."""


class MemoryExhausted(StorageError):
    """DuckDB's memory limit did not do, although it spills."""


class Unwritable(StorageError):
    """The disk takes nothing for now; the message says why, and what to do."""


class Damaged(StorageError):
    """A file cannot be read as what it is; the message names it."""


class ModelError(StorageError):
    """dbt could not build the models, or an integrity test failed."""


class AttemptSpent(PipelineError):
    """This attempt at a request is over; another may succeed."""


class DeadlineExceeded(AttemptSpent):
    """The request was accepted, but its notification did not come in time."""


class AnswerFailed(AttemptSpent):
    """The notification carries an `errorMessage` in place of interactions."""


class ServerFault(AttemptSpent):
    """The server failed over this request, or its reply did not arrive whole."""


class Overloaded(ServerFault):
    """Status code 4: the server failed inside, as it does where a pool of its own is full."""


class Interrupted(PipelineError):
    """The request came to no end through no fault of its own."""


class Unreachable(Interrupted):
    """No connection to the server could be made."""


class EpochLost(Interrupted):
    """The CometD session ended; what was outstanding in it will never be answered.

    `pause` is how many seconds the server wants to be left alone before the next handshake.
    """

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class ChannelMute(EpochLost):
    """The channel accepted requests and delivered nothing, not even a canary's answer."""


class Ambiguous(Interrupted):
    """The reference id is that of an earlier epoch's request that may still be answered."""


class SessionLost(Interrupted):
    """The HTTP session is no longer accepted; log in again."""


class Throttled(Interrupted):
    """The server asks for fewer requests (429, 503)."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}: the server asks to be spared")
        self.status = status
        self.retry_after = retry_after


class RequestRefused(PipelineError):
    """The server will not take this request, now or later."""


class ContactUnknown(PipelineError):
    """The server does not know this contact (HTTP 404 or status code 6)."""


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came from, the latest first."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        seen.add(id(exc))
        yield exc
        exc = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
