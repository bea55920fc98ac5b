"""What happens in one history: drawn from a seed, and made smaller piece by piece.

Knows which troubles can be lived through, and so can be drawn together. Does not bring any about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

PER_CENT = (0.02, 0.05, 0.1, 0.3)
ATTEMPTS = 12
DAYS_OF_A_WINDOW = 4

SPENDING = ("lost", "late", "error", "http_500", "reset", "truncated", "reset_after")
HARMLESS = ("doubled", "early", "reordered", "foreign", "other_type")
REFUSALS = ("http_401", "http_403", "http_429", "http_503", "html")
LOST_ON_THE_WAY = ("refused", "request lost", "reply lost", "reply cut")
MOMENTS = ("freeze", "outage", "leap", "wall", "restart", "channel restart")


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happens once: `at` and `seconds` are in virtual seconds."""

    kind: str
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class History:
    """`switches` are those of the simulator's `Behaviour`; `lost` are shares of the HTTP calls
    that are lost on their way, `lost_at` where they go. `stops` are the seconds after which a run is
    stopped in order, to be run again; only a history through the lake has any."""

    seed: int
    contacts: int
    windows: int
    concurrency: int
    per_second: float
    deadline: float
    canary: float
    switches: tuple[tuple[str, Any], ...] = ()
    lost: tuple[tuple[str, float], ...] = ()
    lost_at: str = "anywhere"
    moments: tuple[Moment, ...] = ()
    stops: tuple[float, ...] = ()

    def __str__(self) -> str:
        told = [
            f"{self.contacts} contacts, {self.windows} windows, {self.concurrency} in flight, "
            f"{self.per_second:g}/s, deadline {self.deadline:g} s, canary {self.canary:g} s",
            *(f"  {name} = {value}" for name, value in self.switches),
            *(f"  {name} {self.lost_at}: {share:.0%}" for name, share in self.lost),
            *(f"  stopped after {seconds:.3f} s" for seconds in self.stops),
            *(f"  {m.kind} at {m.at:.3f} s for {m.seconds:.3f} s" for m in self.moments),
        ]
        return "\n".join(told)


SHORT_LIVES = ("cometd_session_life", "http_session_life")
LONG = 3600.0


def drawn(seed: int) -> History:
    """The history with this number: the same on every machine."""
    draw = Random(seed)
    concurrency = draw.choice((1, 2, 4, 8, 16))
    contacts, windows = draw.randint(2, 45), draw.randint(1, 3)
    latency = draw.choice(((1, 20), (20, 200), (500, 4000)))
    usual = (latency[0] + latency[1]) / 2000
    lasts = max(contacts * windows * 2 / concurrency * usual, 0.1)
    return History(
        seed=seed,
        contacts=contacts,
        windows=windows,
        concurrency=concurrency,
        per_second=draw.choice((0.0, 0.0, 50.0, 5.0)),
        deadline=draw.choice((6.0, 20.0, 60.0)),
        canary=draw.choice((5.0, 10.0, 30.0)),
        switches=(("latency_ms", latency), *_bearable(_switches(draw, concurrency, usual))),
        lost=_lost(draw),
        lost_at=draw.choice(("anywhere", "history", "polls")),
        moments=_moments(draw, lasts),
    )


def _bearable(switches: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Less of what no client could stand together: of a question that is interrupted for five
    minutes the run rightly ends."""
    drawn_ones = dict(switches)
    if drawn_ones.get("reference_ids") == "session":
        # answers that come when they are given up cannot be told from others
        drawn_ones.pop("late_share", None)
    lives = [drawn_ones[name] for name in SHORT_LIVES if name in drawn_ones]
    if "late_share" in drawn_ones and min(lives, default=LONG) < drawn_ones.get(
        "late_seconds", 90.0
    ):
        # such an answer never comes: its session is over before it
        drawn_ones["late_share"] = min(drawn_ones["late_share"], 0.05)
    if "cut_reply_share" in drawn_ones and (lives or "http_faults_on" in drawn_ones):
        # three polls in a row that fail are the end of a session as well
        drawn_ones["cut_reply_share"] = min(drawn_ones["cut_reply_share"], 0.1)
    yield from drawn_ones.items()


def _switches(draw: Random, concurrency: int, usual: float) -> Iterator[tuple[str, Any]]:
    on_the_channel = draw.random() < 0.25
    shares = PER_CENT[:2] if on_the_channel else PER_CENT
    for name in (*SPENDING, *HARMLESS, *REFUSALS):
        if draw.random() < 0.25:
            # each refusal is a rest or a login: more of them, and the run rightly ends
            yield f"{name}_share", draw.choice(shares[:3] if name in REFUSALS else shares)
    if on_the_channel:
        # a session is four calls until the first answer: much more, and none would ever come
        yield "http_faults_on", draw.choice((("history", "polls"), ("polls", "handshakes")))
    if draw.random() < 0.5:
        yield "late_seconds", draw.choice((5.0, 12.0, 45.0, 90.0))
    if draw.random() < 0.3:
        yield "retry_after", draw.choice((0, 1, 7))
        yield "retry_after_forms", ("seconds", "date", "none")
    yield from _sessions(draw, concurrency, usual)
    yield from _channel(draw)
    yield from _contacts(draw)


def _sessions(draw: Random, concurrency: int, usual: float) -> Iterator[tuple[str, Any]]:
    """Sessions live long enough for some answers: otherwise no client could ever end."""
    if draw.random() < 0.3:
        yield "cometd_session_requests", 3 * concurrency + draw.randint(0, 20)
    if draw.random() < 0.2:
        yield "cometd_session_life", 8 * usual + draw.uniform(1, 10)
    if draw.random() < 0.3:
        yield "http_session_requests", 4 * concurrency + draw.randint(0, 30)
    if draw.random() < 0.2:
        yield "http_session_life", 10 * usual + draw.uniform(1, 15)
    by_session = draw.random() < 0.3
    if by_session:
        yield "reference_ids", "session"
    if not by_session and draw.random() < 0.25:
        # nor could it tell these
        yield "after_epoch_share", draw.choice(PER_CENT)
    if draw.random() < 0.2:
        yield "lost_session_advice", "absent"
    if draw.random() < 0.2:
        yield "nodes", 2


def _channel(draw: Random) -> Iterator[tuple[str, Any]]:
    if draw.random() < 0.3:
        yield "ack", False
    if draw.random() < 0.25:
        yield "cut_reply_share", draw.choice(PER_CENT)
    if draw.random() < 0.2:
        yield "cometd_interval_ms", draw.choice((20, 300))
    if draw.random() < 0.2:
        yield "cometd_timeout_ms", draw.choice((500, 5_000))
    if draw.random() < 0.15:
        yield "mute_from", draw.randint(1, 60)
        yield "mute_seconds", draw.uniform(1, 80)


def _contacts(draw: Random) -> Iterator[tuple[str, Any]]:
    if draw.random() < 0.2:
        yield "unknown_contact_share", draw.choice((0.05, 0.2))
    if draw.random() < 0.15:
        yield "failing_contact_share", draw.choice((0.05, 0.1))
    is_offered = draw.random() >= 0.1
    if not is_offered:
        yield "archive", False
    if is_offered and draw.random() < 0.3:
        # what moves to an archive that is not offered is out of sight
        yield "archiver_per_request", draw.randint(1, 3)
    if draw.random() < 0.3:
        yield "to_date_included", False
    if draw.random() < 0.2:
        yield "max_per_second", 60
    if draw.random() < 0.2:
        yield "reply_latency_ms", (0, draw.choice((10, 300)))
    if draw.random() < 0.2:
        yield "errors_as_http", False


def _lost(draw: Random) -> tuple[tuple[str, float], ...]:
    names = [name for name in LOST_ON_THE_WAY if draw.random() < 0.2]
    # what is lost is half a minute of silence: where one poll in ten is, the run rightly ends
    return tuple(
        (name, draw.choice((0.01, 0.03, 0.03 if name.endswith(" lost") else 0.1))) for name in names
    )


def _moments(draw: Random, lasts: float) -> tuple[Moment, ...]:
    kinds = [kind for kind in MOMENTS if draw.random() < 0.2]
    return tuple(Moment(kind, draw.uniform(0, lasts), _how_long(draw, kind)) for kind in kinds)


def _how_long(draw: Random, kind: str) -> float:
    if kind == "wall":
        return draw.choice((-86_400.0, -3_600.0, 3_600.0, 86_400.0))
    return draw.choice((0.3, 4.0, 15.0, 70.0))


# -- smaller -------------------------------------------------------------------------------------


def smaller(history: History) -> Iterator[History]:
    """The same with one thing less, the largest pieces first."""
    for field in ("moments", "lost", "switches", "stops"):
        pieces = getattr(history, field)
        for n in range(len(pieces)):
            if field == "switches" and pieces[n][0] in ("latency_ms", "mute_seconds"):
                continue
            mute = field == "switches" and pieces[n][0] == "mute_from"
            yield replace(history, **{field: pieces[:n] + pieces[n + 1 + mute :]})
    if history.windows > 1:
        yield replace(history, windows=history.windows - 1)
    for contacts in (1, history.contacts // 2, history.contacts - 1):
        if 0 < contacts < history.contacts:
            yield replace(history, contacts=contacts)
    if history.concurrency > 1:
        yield replace(history, concurrency=history.concurrency // 2)
    if history.per_second:
        yield replace(history, per_second=0.0)
