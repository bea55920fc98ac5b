"""Each question to a simulator that is set either way."""

from __future__ import annotations

from typing import Any

import pytest

from history_pipeline.probing.finding import Question
from history_pipeline.probing.interview import BUDGET
from history_pipeline.simulator import World
from history_pipeline_tests.probing.scene import (
    NOTABLE,
    OPEN,
    SETTLED,
    TODAY,
    WORLD,
    held,
)

NIGHTLY = WORLD.contact_id(1)
"""Has interactions at the edges of days."""

BUSY = World(
    seed=3,
    contacts=12,
    start=WORLD.start,
    end=WORLD.end,
    giant_interactions=520,
    archived_share=0.1,
    unreadable_share=0.0,
)
GIANT = BUSY.contact_id(0)
ASKED_OF_A_CONTACT = (
    Question.TO_DATE,
    Question.DAYS,
    Question.OFFSETS,
    Question.LENGTH,
    Question.SORT,
)


@pytest.mark.parametrize("given", [NIGHTLY, None])
@pytest.mark.parametrize("included", [True, False])
def test_to_date(included: bool, given: str | None) -> None:
    found = held(given=given, to_date_included=included)
    assert found.standing(Question.TO_DATE) is SETTLED
    assert found.verdict(Question.TO_DATE).startswith("yes") is included


@pytest.mark.parametrize("given", [NIGHTLY, None])
@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("days_zone", ["", "UTC", "Asia/Tokyo", "America/New_York"])
def test_the_zone_in_which_days_are_cut(days_zone: str, included: bool, given: str | None) -> None:
    found = held(given=given, days_zone=days_zone, to_date_included=included)
    assert found.standing(Question.DAYS) is (NOTABLE if days_zone else SETTLED)
    assert found.verdict(Question.DAYS).startswith("not in") is bool(days_zone)
    advised = found.setting("GWS_TIMEZONE")
    assert advised == "Europe/Berlin" if not days_zone else advised != "Europe/Berlin"
    assert found.standing(Question.OFFSETS) is SETTLED
    assert found.standing(Question.TO_DATE) is SETTLED


@pytest.mark.parametrize(
    ("configured", "standing", "advised"),
    [("Europe/Berlin", SETTLED, "Europe/Berlin"), ("Europe/London", NOTABLE, "Europe/Paris")],
)
def test_a_zone_that_is_configured_wrongly_is_told_by_days_and_offsets(
    configured: str, standing: Any, advised: str
) -> None:
    found = held(zone=configured)
    assert found.standing(Question.OFFSETS) is standing
    assert found.standing(Question.DAYS) is standing
    assert found.setting("GWS_TIMEZONE") == advised


@pytest.mark.parametrize("sort_obeyed", [True, False])
@pytest.mark.parametrize("cap", [None, 100, 37])
def test_whether_answers_stop_at_a_number(cap: int | None, sort_obeyed: bool) -> None:
    found = held(BUSY, given=GIANT, answer_cap=cap, sort_obeyed=sort_obeyed)
    assert found.standing(Question.LENGTH) is (SETTLED if cap is None else NOTABLE)
    if cap is not None:
        assert f"yes, at {cap}:" in found.verdict(Question.LENGTH)
        assert 1 <= int(found.setting("HISTORY_WINDOW_DAYS") or 0) < 31
    assert found.standing(Question.TO_DATE) is SETTLED
    assert found.verdict(Question.TO_DATE) == "yes"


def test_a_number_that_the_contact_does_not_reach_is_not_settled() -> None:
    found = held(given=NIGHTLY, answer_cap=100)
    assert found.standing(Question.LENGTH) is OPEN
    assert "--contact" in found.verdict(Question.LENGTH)


@pytest.mark.parametrize("cap", [None, 100])
@pytest.mark.parametrize("obeyed", [True, False])
def test_sort(obeyed: bool, cap: int | None) -> None:
    found = held(BUSY, given=GIANT, sort_obeyed=obeyed, answer_cap=cap)
    assert found.standing(Question.SORT) is (SETTLED if obeyed else NOTABLE)
    assert ("yes" in found.verdict(Question.SORT)) is obeyed


@pytest.mark.parametrize(
    ("switches", "standing", "sources"),
    [
        ({}, SETTLED, "main,archive"),
        ({"archive": False}, NOTABLE, "main"),
        ({"source_obeyed": False}, NOTABLE, "main"),
    ],
)
def test_archive(switches: dict[str, Any], standing: Any, sources: str) -> None:
    found = held(**switches)
    assert found.standing(Question.ARCHIVE) is standing
    assert found.setting("HISTORY_SOURCES") == sources


@pytest.mark.parametrize(
    ("manner", "standing", "wording"),
    [
        ("404", SETTLED, "HTTP 404"),
        ("code-6", SETTLED, "status code 6 (HTTP 200)"),
        ("empty", NOTABLE, "empty answer"),
        ("error-message", NOTABLE, "errorMessage"),
    ],
)
def test_unknown_contacts(manner: str, standing: Any, wording: str) -> None:
    found = held(unknown_contacts=manner)
    assert found.standing(Question.UNKNOWN) is standing
    assert wording in found.verdict(Question.UNKNOWN)


@pytest.mark.parametrize("by_all", [True, False])
@pytest.mark.parametrize("counted", ["server", "session"])
def test_two_sessions(counted: str, by_all: bool) -> None:
    found = held(reference_ids=counted, heard_by_all=by_all)
    assert ("one counter" in found.verdict(Question.REFERENCE_IDS)) is (counted == "server")
    assert found.standing(Question.HEARING) is (NOTABLE if by_all else SETTLED)
    if by_all:
        assert ("can be the same" in found.verdict(Question.HEARING)) is (counted == "session")


@pytest.mark.parametrize(
    ("latency", "standing", "timeout"),
    [((5, 20), SETTLED, 60), ((900, 1_000), SETTLED, 60), ((1_900, 2_000), NOTABLE, 60)],
)
def test_how_long_an_answer_takes(latency: tuple[int, int], standing: Any, timeout: int) -> None:
    canary_interval = "30" if standing is SETTLED else "5"
    found = held(latency_ms=latency, told={"GWS_CANARY_INTERVAL": canary_interval})
    assert found.standing(Question.TIME) is standing
    assert int(found.setting("GWS_NOTIFICATION_TIMEOUT") or 0) >= timeout
    assert int(found.setting("GWS_CANARY_INTERVAL") or 0) >= 30
    longest = float(found.verdict(Question.TIME).partition("longest ")[2].partition(" s")[0])
    assert latency[0] / 1000 <= longest < latency[1] / 1000 + 0.1


# -- whom to ask about ---------------------------------------------------------------------------


def test_without_interaction_history_somebody_of_the_list_is_asked_about() -> None:
    listed = [WORLD.contact_id(n) for n in range(8)]
    found = held(listed=listed, interaction_history=False)
    assert found.has_activity is False
    assert found.standing(Question.TO_DATE) is SETTLED


@pytest.mark.parametrize("unknown", ["404", "empty", "error-message"])
def test_with_nobody_to_ask_about_it_is_said_how_to_go_on(unknown: str) -> None:
    agents = [f"{n:032x}" for n in range(5)]
    found = held(listed=agents, interaction_history=False, unknown_contacts=unknown)
    for question in ASKED_OF_A_CONTACT:
        assert found.standing(question) is OPEN
        assert "--contact" in found.verdict(question)
    assert found.standing(Question.UNKNOWN) is not OPEN


def test_a_contact_given_without_history_is_named_as_the_reason() -> None:
    silent = next(
        one.contact_id
        for one in WORLD.contacts()
        if not WORLD.records(one.contact_id, "main")
        and not WORLD.records(one.contact_id, "archive")
    )
    found = held(given=silent, listed=[NIGHTLY])
    for question in ASKED_OF_A_CONTACT:
        assert "given has no history" in found.verdict(question)
    assert found.standing(Question.ARCHIVE) is SETTLED
    assert found.standing(Question.REFERENCE_IDS) is SETTLED


def test_a_site_without_anything_is_asked_no_more_than_it_must_be() -> None:
    empty = World(seed=3, contacts=1, start=WORLD.start, end=WORLD.end, interactions_per_contact=0)
    found = held(empty, listed=[one.contact_id for one in empty.contacts()])
    assert {found.standing(question) for question in ASKED_OF_A_CONTACT} == {OPEN}
    assert found.requests <= 15


def test_somebody_whose_last_interaction_is_long_ago_is_found() -> None:
    found = held(today=TODAY.replace(year=2027))
    assert found.standing(Question.TO_DATE) is SETTLED


# -- politeness ----------------------------------------------------------------------------------


def test_at_the_default_rate_it_takes_seconds_and_two_dozen_requests_at_most() -> None:
    for switches in ({}, {"days_zone": "UTC", "answer_cap": 9}, {"archive": False}):
        found = held(per_second=5.0, latency_ms=(50, 100), **switches)
        assert found.requests <= 26
        assert found.seconds < 15
        assert found.stats["mostPerSecond"] <= 5


@pytest.mark.parametrize("seconds", [4, 12])
def test_on_a_slow_server_what_was_not_asked_says_that_time_was_up(seconds: int) -> None:
    found = held(per_second=5.0, latency_ms=(seconds * 1000, seconds * 1000))
    assert found.seconds <= BUDGET + 1
    left = [one for one in found.findings.values() if "no time was left" in one.verdict]
    assert left
    assert int(found.setting("GWS_NOTIFICATION_TIMEOUT") or 0) >= 20 * seconds


def test_notifications_that_are_lost_settle_nothing_and_end_in_time() -> None:
    found = held(lost_share=1.0)
    assert found.seconds <= BUDGET + 1
    assert {found.standing(question) for question in ASKED_OF_A_CONTACT} == {OPEN}
    assert found.standing(Question.REFERENCE_IDS) is OPEN
    assert found.standing(Question.TIME) is OPEN
    for question in (*ASKED_OF_A_CONTACT, Question.ARCHIVE):
        assert "no notification within" in found.verdict(question) or "time" in found.verdict(
            question
        )


@pytest.mark.parametrize(
    "switches",
    [
        {"http_429_share": 0.2},
        {"http_503_share": 0.2},
        {"error_share": 0.1},
        {"cometd_session_requests": 6},
        {"http_session_requests": 5},
        {"foreign_share": 0.3, "other_type_share": 0.3},
    ],
)
def test_what_goes_wrong_by_the_way_makes_no_verdict_wrong(switches: dict[str, Any]) -> None:
    found = held(given=NIGHTLY, **switches)
    for question, true in (
        (Question.TO_DATE, "yes"),
        (Question.SORT, "yes"),
        (Question.DAYS, "Europe/Berlin"),
    ):
        assert found.standing(question) is OPEN or found.verdict(question).startswith(true)
