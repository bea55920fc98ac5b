"""Verdicts on the channel, the login and the user. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from history_pipeline.bayeux.session import Terms
from history_pipeline.probing.finding import Finding, Question, notable, settled, unsettled
from history_pipeline.settings import Settings

ROLES_THAT_SERVE = ("ROLE_APIUSER", "ROLE_ADMIN", "ROLE_SUPERVISOR", "ROLE_AGENT")
FEATURES_OF_MEDIA = {
    "api-ucs-voice": "calls",
    "api-multimedia-chat": "chats",
    "api-multimedia-email": "emails",
    "api-multimedia-facebook": "facebook",
    "api-multimedia-twitter": "twitter",
}
"""RetrieveContactHistory needs one of these, for the interactions of its kind (guide, Features)."""

_LONG_INTERVAL = 1.0


def channel(settings: Settings, terms: Terms, *, is_guarded: bool) -> Iterator[Finding]:
    """What opening the channel has shown."""
    yield settled(
        Question.ENDPOINT,
        f"handshake at {settings.notifications_path}, subscription to {settings.channel}",
        GWS_NOTIFICATIONS_PATH=settings.notifications_path,
        GWS_CHANNEL=settings.channel,
    )
    yield _transports(terms)
    yield _advice(terms)
    yield settled(
        Question.ACK,
        "echoed: a reply that is lost on its way is sent again"
        if terms.acknowledges
        else "not echoed: what a lost reply held is asked again, after its deadline",
    )
    yield settled(
        Question.CSRF,
        "on: each POST carries the token of the login" if is_guarded else "off: no token is told",
    )


def silent(settings: Settings) -> Finding:
    """The channel is open, and no answer came on it."""
    return unsettled(
        Question.ENDPOINT,
        f"subscription to {settings.channel} at {settings.notifications_path} is accepted, but no "
        "answer came: the channel may be another, or REST and CometD on different nodes",
    )


def _transports(terms: Terms) -> Finding:
    if not terms.transports:
        return unsettled(Question.TRANSPORTS, "the handshake names none; long-polling works")
    return settled(Question.TRANSPORTS, f"{', '.join(terms.transports)}; long-polling is used")


def _advice(terms: Terms) -> Finding:
    if not terms.is_advised:
        return unsettled(
            Question.ADVICE, f"none is given; a connect is expected back within {terms.timeout:g} s"
        )
    told = f"timeout {terms.timeout:g} s, interval {terms.interval:g} s"
    if terms.interval >= _LONG_INTERVAL:
        return notable(Question.ADVICE, f"{told}: answers can lie for as long as the interval")
    return settled(Question.ADVICE, told)


def login(settings: Settings) -> Finding:
    """The credentials were accepted as they were sent."""
    encoding = settings.basic_encoding
    if f"{settings.username}{settings.secret}".isascii():
        told = "accepted; name and password are ASCII, which every encoding writes alike"
    else:
        told = f"accepted, written in {encoding}"
    return settled(Question.LOGIN, told, GWS_BASIC_ENCODING=encoding)


def other_encoding(settings: Settings) -> str:
    """What to try by hand where a login is refused; nothing where each encoding writes the same.
    It is not tried here: accounts lock."""
    text = f"{settings.username}{settings.secret}"
    if text.isascii():
        return ""
    other = "iso-8859-1" if settings.basic_encoding == "utf-8" else "utf-8"
    return (
        f"; name or password are not ASCII, and were written in {settings.basic_encoding}: the "
        f"server may want GWS_BASIC_ENCODING={other}"
    )


def roles(me: Any) -> Finding:
    """From the body of GET /api/v2/me."""
    found = list(_roles(me))
    if not found:
        return unsettled(Question.ROLES, "GET /api/v2/me tells of none; history was what to try")
    told = ", ".join(found)
    if not any(role.upper() in ROLES_THAT_SERVE for role in found):
        return notable(Question.ROLES, f"{told}; apiuser is the role meant for such programs")
    return settled(Question.ROLES, told)


def _roles(me: Any) -> Iterator[str]:
    user = me.get("user", me) if isinstance(me, dict) else None
    told = user.get("roles") if isinstance(user, dict) else None
    return _names(told)


def features(body: Any, why_not: str | None = None) -> Finding:
    """From the body of GET /api/v2/features, or the reason why there is none."""
    if why_not is not None:
        return unsettled(Question.FEATURES, f"not told: {why_not}")
    found = set(_names(body.get("features") if isinstance(body, dict) else None))
    if not found:
        return unsettled(Question.FEATURES, "not told: the answer names none")
    lacking = [f"{name} ({of})" for name, of in FEATURES_OF_MEDIA.items() if name not in found]
    if len(lacking) == len(FEATURES_OF_MEDIA):
        return notable(
            Question.FEATURES,
            f"none that history needs: have one of {', '.join(FEATURES_OF_MEDIA)} assigned",
        )
    if lacking:
        return notable(
            Question.FEATURES, f"without {', '.join(lacking)}: such interactions may not show"
        )
    return settled(Question.FEATURES, "all that history needs, for each media type")


def _names(told: Any) -> Iterator[str]:
    """Texts, or objects with an id or a name."""
    each: Iterable[Any] = told if isinstance(told, list) else ()
    for one in each:
        name = one.get("id", one.get("name")) if isinstance(one, dict) else one
        if isinstance(name, str) and name.strip():
            yield name.strip()
