"""The open questions, and what an answer to one looks like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum


class Question(StrEnum):
    """In the order in which they are told."""

    ENDPOINT = "endpoint and channel"
    TRANSPORTS = "transports offered"
    ADVICE = "advice"
    ACK = "ack extension"
    LOGIN = "login and its encoding"
    CSRF = "CSRF protection"
    ROLES = "roles of the user"
    FEATURES = "features"
    CONTACTS = "who is listed as contacts"
    ARCHIVE = "archive"
    TO_DATE = "is toDate included"
    DAYS = "zone in which days are cut"
    OFFSETS = "offsets in the answers"
    LENGTH = "do answers stop at a number"
    SORT = "is sort obeyed"
    UNKNOWN = "contacts that are unknown"
    REFERENCE_IDS = "reference ids of two sessions"
    HEARING = "who hears an answer"
    TIME = "how long an answer takes"


class Standing(Enum):
    """How sure a verdict is, and whether somebody should look at it."""

    SETTLED = "settled"
    NOTABLE = "look at it"
    OPEN = "not settled"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, with the settings that follow from it: pairs of name and value, as they stand in
    the environment."""

    question: Question
    verdict: str
    standing: Standing = Standing.SETTLED
    settings: tuple[tuple[str, str], ...] = ()


def settled(question: Question, verdict: str, **settings: object) -> Finding:
    return Finding(question, verdict, Standing.SETTLED, _pairs(settings))


def notable(question: Question, verdict: str, **settings: object) -> Finding:
    return Finding(question, verdict, Standing.NOTABLE, _pairs(settings))


def unsettled(question: Question, why: str, **settings: object) -> Finding:
    return Finding(question, why, Standing.OPEN, _pairs(settings))


def completed(findings: Iterable[Finding], why_not: str) -> list[Finding]:
    """One finding for each question; those that nobody came to are not settled, for this reason."""
    told = {finding.question: finding for finding in findings}
    return [told.get(question) or unsettled(question, why_not) for question in Question]


def settings_of(findings: Iterable[Finding]) -> dict[str, str]:
    """What all of them say should be set."""
    return {name: value for finding in findings for name, value in finding.settings}


def _pairs(settings: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple((name, f"{value}") for name, value in settings.items())
