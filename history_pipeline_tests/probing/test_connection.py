"""Verdicts on channel, login, user and list, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from history_pipeline.bayeux.session import Terms
from history_pipeline.model import Contact
from history_pipeline.probing import connection, listed
from history_pipeline.probing.connection import FEATURES_OF_MEDIA
from history_pipeline.probing.finding import Question, Standing
from history_pipeline.probing.listed import Kind
from history_pipeline_tests.probing.scene import settings

OPEN, SETTLED, NOTABLE = Standing.OPEN, Standing.SETTLED, Standing.NOTABLE
CUSTOMERS = [Contact(f"0001aQzT0000000{n}") for n in range(5)]
AGENTS = [Contact(f"{n:032x}", {"type": "User"}) for n in range(5)]
QUEUES = [Contact(f"queue {n}", {"type": "Queue"}) for n in range(5)]
OTHERS = [Contact(f"{n}") for n in range(5)]
ALL = list(FEATURES_OF_MEDIA)


@pytest.mark.parametrize(
    ("terms", "is_guarded", "question", "standing", "wording"),
    [
        (Terms(("websocket", "long-polling"), True, True, 30.0, 0.0), True,
         Question.TRANSPORTS, SETTLED, "websocket, long-polling"),
        (Terms((), True, True, 30.0, 0.0), True, Question.TRANSPORTS, OPEN, "names none"),
        (Terms((), True, True, 20.0, 0.5), True,
         Question.ADVICE, SETTLED, "timeout 20 s, interval 0.5 s"),
        (Terms((), True, True, 20.0, 5.0), True, Question.ADVICE, NOTABLE, "interval 5 s"),
        (Terms((), True, False, 30.0, 0.0), True, Question.ADVICE, OPEN, "none is given"),
        (Terms((), True, True, 30.0, 0.0), True, Question.ACK, SETTLED, "echoed: a reply"),
        (Terms((), False, True, 30.0, 0.0), True, Question.ACK, SETTLED, "not echoed"),
        (Terms((), False, True, 30.0, 0.0), True, Question.CSRF, SETTLED, "on:"),
        (Terms((), False, True, 30.0, 0.0), False, Question.CSRF, SETTLED, "off:"),
        (Terms((), False, True, 30.0, 0.0), True,
         Question.ENDPOINT, SETTLED, "/v2/ucs/interactions"),
    ],
)  # fmt: skip
def test_channel(
    terms: Terms, is_guarded: bool, question: Question, standing: Standing, wording: str
) -> None:
    found = {
        each.question: each for each in connection.channel(settings(), terms, is_guarded=is_guarded)
    }[question]
    assert found.standing is standing
    assert wording in found.verdict


@pytest.mark.parametrize(
    ("password", "encoding", "wording"),
    [
        ("ascii", "utf-8", "every encoding"),
        ("pâss", "utf-8", "written in utf-8"),
        ("pâss", "iso-8859-1", "written in iso-8859-1"),
    ],
)
def test_login(password: str, encoding: str, wording: str) -> None:
    found = connection.login(settings(GWS_PASSWORD=password, GWS_BASIC_ENCODING=encoding))
    assert wording in found.verdict
    assert password not in found.verdict
    assert dict(found.settings) == {"GWS_BASIC_ENCODING": encoding}


@pytest.mark.parametrize(
    ("password", "encoding", "other"),
    [
        ("ascii", "utf-8", None),
        ("pâss", "utf-8", "iso-8859-1"),
        ("pâss", "iso-8859-1", "utf-8"),
    ],
)
def test_where_a_login_is_refused_the_other_encoding_is_named(
    password: str, encoding: str, other: str | None
) -> None:
    hint = connection.other_encoding(settings(GWS_PASSWORD=password, GWS_BASIC_ENCODING=encoding))
    assert (f"GWS_BASIC_ENCODING={other}" in hint) if other else not hint
    assert password not in hint


@pytest.mark.parametrize(
    ("me", "standing", "wording"),
    [
        ({"user": {"roles": ["ROLE_ADMIN", "ROLE_AGENT"]}}, SETTLED, "ROLE_ADMIN, ROLE_AGENT"),
        ({"roles": ["role_agent"]}, SETTLED, "role_agent"),
        ({"user": {"roles": ["ROLE_JANITOR"]}}, NOTABLE, "apiuser"),
        ({"user": {}}, OPEN, "tells of none"),
        ({"user": {"roles": "ROLE_ADMIN"}}, OPEN, "tells of none"),
        ({"user": None}, OPEN, "tells of none"),
        ([], OPEN, "tells of none"),
        (None, OPEN, "tells of none"),
    ],
)
def test_roles(me: Any, standing: Standing, wording: str) -> None:
    found = connection.roles(me)
    assert found.standing is standing
    assert wording in found.verdict


@pytest.mark.parametrize(
    ("body", "why_not", "standing", "wording"),
    [
        ({"features": [{"id": name} for name in ALL]}, None, SETTLED, "all that history needs"),
        ({"features": ALL}, None, SETTLED, "all that history needs"),
        ({"features": [{"name": name} for name in ALL]}, None, SETTLED, "all that history needs"),
        ({"features": ALL[1:]}, None, NOTABLE, "api-ucs-voice (calls)"),
        ({"features": ["api-voice"]}, None, NOTABLE, "have one of"),
        ({"features": []}, None, OPEN, "names none"),
        ({}, None, OPEN, "names none"),
        (7, None, OPEN, "names none"),
        (None, "HTTP 404", OPEN, "HTTP 404"),
    ],
)
def test_features(body: Any, why_not: str | None, standing: Standing, wording: str) -> None:
    found = connection.features(body, why_not)
    assert found.standing is standing
    assert wording in found.verdict


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (CUSTOMERS, Kind.CUSTOMERS),
        (AGENTS, Kind.DIRECTORY),
        (QUEUES, Kind.DIRECTORY),
        ([Contact(f"{n:032X}") for n in range(3)], Kind.DIRECTORY),
        (CUSTOMERS[:3] + OTHERS[:2], Kind.CUSTOMERS),
        (OTHERS, Kind.OTHER),
        ([Contact("0001-QzT00000000")], Kind.OTHER),
        ([], Kind.NOBODY),
    ],
)
def test_what_a_list_is_of(page: list[Contact], kind: Kind) -> None:
    assert listed.kind_of(page) is kind


@pytest.mark.parametrize(
    ("page", "configured", "has_activity", "standing", "wording", "advised"),
    [
        (CUSTOMERS, "gws", None, SETTLED, "lists customers", "gws"),
        (AGENTS, "gws", True, NOTABLE, "HISTORY_CONTACTS=activity", "activity"),
        (AGENTS, "gws", None, NOTABLE, "file:PATH", "activity"),
        (AGENTS, "gws", False, NOTABLE, "use file:PATH", None),
        (AGENTS, "activity", True, SETTLED, "as on most sites", "activity"),
        (CUSTOMERS, "activity", True, SETTLED, "gws would ask for all", "activity"),
        (OTHERS, "gws", None, OPEN, "1 characters", "gws"),
        ([], "gws", None, OPEN, "empty", "gws"),
        (None, "file:ids.csv", None, OPEN, "HTTP 404", "file:ids.csv"),
    ],
)
def test_contacts(
    page: list[Contact] | None,
    configured: str,
    has_activity: bool | None,
    standing: Standing,
    wording: str,
    advised: str | None,
) -> None:
    found = listed.contacts(
        "/api/v2/contacts",
        page,
        "HTTP 404",
        source=configured.partition(":")[0],
        configured=configured,
        has_activity=has_activity,
    )
    assert found.standing is standing
    assert wording in found.verdict
    assert dict(found.settings).get("HISTORY_CONTACTS") == advised
