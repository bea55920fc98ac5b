"""How the simulated server behaves: every switch, with its default.

Knows names, defaults and limits of the switches. Does not act on them.
"""

from __future__ import annotations

from dataclasses import dataclass

LOGIN_REFUSALS = ("401", "403", "statuscode", "redirect", "html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Times are in milliseconds, `http_session_timeout` in seconds, shares from 0 to 1."""

    username: str = "apiuser"
    password: str = "password"  # noqa: S105 - it guards nothing but made-up contacts
    login_refusal: str = "401"
    csrf: bool = True
    http_session_timeout: float = 1800.0
    polls_keep_session: bool = True

    latency_ms: tuple[float, float] = (0.0, 0.0)
    reply_latency_ms: tuple[float, float] = (0.0, 0.0)
    early_share: float = 0.0
    lost_share: float = 0.0
    archive: bool = True
    to_date_included: bool = True
    answer_cap: int | None = None
    errors_as_http: bool = True
    max_page: int = 500

    ack: bool = True
    subscription_refused: bool = False
    cometd_timeout_ms: int = 30_000
    cometd_interval_ms: int = 0
    cometd_max_interval_ms: int = 10_000

    seed: int = 1

    def __post_init__(self) -> None:
        for low, high in (self.latency_ms, self.reply_latency_ms):
            if not 0 <= low <= high:
                raise ValueError(f"not a span of milliseconds: {low}, {high}")
        for share in (self.early_share, self.lost_share):
            if not 0 <= share <= 1:
                raise ValueError(f"not a share: {share}")
        if self.login_refusal not in LOGIN_REFUSALS:
            raise ValueError(f"login_refusal is one of {LOGIN_REFUSALS}")
