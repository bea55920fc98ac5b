"""Verdicts from made-up answers, as tables."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from history_pipeline.probing import answers, sessions
from history_pipeline.probing.finding import (
    Finding,
    Question,
    Standing,
    completed,
    settings_of,
    settled,
)
from history_pipeline.probing.seen import Ending, Reply, Seen, Sighting, seen
from history_pipeline_tests.probing.scene import settings

OPEN, SETTLED, NOTABLE = Standing.OPEN, Standing.SETTLED, Standing.NOTABLE
HOURS_36 = 129_600


def held(*numbers: int) -> Seen:
    """Interactions that start 36 hours apart, in this order."""
    each = tuple(Sighting(f"i{n}", "c", n * HOURS_36, 0) for n in numbers)
    return Seen(len(each), each)


def answered(*numbers: int) -> Reply:
    return Reply(Ending.ANSWERED, held(*numbers))


FAILED = Reply(Ending.LATE, reason="no notification within 45 s")


@pytest.mark.parametrize(
    ("ascending", "descending", "standing", "wording"),
    [
        (answered(1, 2, 3), answered(3, 2, 1), SETTLED, "yes"),
        (answered(1, 2, 3), answered(1, 2, 3), NOTABLE, "oldest comes first either way"),
        (answered(3, 2, 1), answered(3, 2, 1), NOTABLE, "newest comes first either way"),
        (answered(3, 2, 1), answered(1, 2, 3), NOTABLE, "wrong way round"),
        (answered(2, 3, 1), answered(3, 2, 1), NOTABLE, "not in the order"),
        (answered(1, 2, 3), answered(9, 8, 7), SETTLED, "yes"),
        (answered(1, 1), answered(1, 1), OPEN, "--contact"),
        (answered(1), answered(1), OPEN, "--contact"),
        (answered(1, 2), FAILED, OPEN, "no notification"),
        (FAILED, answered(1, 2), OPEN, "no notification"),
    ],
)
def test_order(ascending: Reply, descending: Reply, standing: Standing, wording: str) -> None:
    found = answers.order(ascending, descending)
    assert found.standing is standing
    assert wording in found.verdict


@pytest.mark.parametrize(
    ("whole", "others", "is_halved", "standing", "wording"),
    [
        (range(100), [range(150, 50, -1)], False, NOTABLE, "yes, at 100"),
        (range(100), [range(60), range(50, 130)], True, NOTABLE, "30 more"),
        (range(7), [range(4), range(3, 9)], True, NOTABLE, "yes, at 7"),
        (range(137), [range(137)], False, SETTLED, "not at a round number"),
        (range(200), [range(120), range(100, 200)], True, SETTLED, "halves hold no others"),
        (range(100), [range(100)], False, OPEN, "round number"),
        (range(99), [range(50), range(49, 99)], True, OPEN, "not below 99"),
        (range(1), [], False, OPEN, "not below 1"),
    ],
)
def test_length(
    whole: range, others: list[range], is_halved: bool, standing: Standing, wording: str
) -> None:
    found = answers.length(
        held(*whole), [held(*each) for each in others], is_halved=is_halved, window_days=31
    )
    assert found.standing is standing
    assert wording in found.verdict
    assert bool(found.settings) is (standing is NOTABLE)


@pytest.mark.parametrize(("spread", "window"), [(100, "31"), (20, "14"), (1, "1")])
def test_where_answers_are_cut_a_window_holds_half_of_one(spread: int, window: str) -> None:
    found = answers.length(held(*range(spread)), [held(spread)], is_halved=True, window_days=31)
    assert dict(found.settings) == {"HISTORY_WINDOW_DAYS": window}


@pytest.mark.parametrize(
    ("reply", "main", "standing", "sources"),
    [
        (answered(1, 2), answered(3, 4), SETTLED, "main,archive"),
        (answered(1, 2), answered(1, 2), NOTABLE, "main"),
        (answered(), answered(), SETTLED, "main,archive"),
        (answered(1), None, SETTLED, "main,archive"),
        (Reply(Ending.ERROR), answered(1), NOTABLE, "main"),
        (Reply(Ending.REFUSED, reason="status code 2"), answered(1), NOTABLE, "main"),
        (FAILED, answered(1), OPEN, None),
        (Reply(Ending.TIME_UP), answered(1), OPEN, None),
    ],
)
def test_archive(reply: Reply, main: Reply | None, standing: Standing, sources: str | None) -> None:
    found = answers.archive(reply, main)
    assert found.standing is standing
    assert dict(found.settings).get("HISTORY_SOURCES") == sources


@pytest.mark.parametrize(
    ("reply", "standing", "wording"),
    [
        (Reply(Ending.UNKNOWN, reason="HTTP 404"), SETTLED, "HTTP 404"),
        (Reply(Ending.UNKNOWN, reason="status code 6 (HTTP 200)"), SETTLED, "status code 6"),
        (answered(), NOTABLE, "empty answer"),
        (Reply(Ending.ERROR), NOTABLE, "errorMessage"),
        (Reply(Ending.REFUSED, reason="status code 5"), NOTABLE, "status code 5"),
        (answered(1), OPEN, "nobody"),
        (FAILED, OPEN, "no notification"),
    ],
)
def test_unknown(reply: Reply, standing: Standing, wording: str) -> None:
    found = answers.unknown(reply)
    assert found.standing is standing
    assert wording in found.verdict


@pytest.mark.parametrize(
    ("seconds", "interval", "told", "standing", "advised"),
    [
        ([0.1, 0.2, 0.4], 0.0, {}, SETTLED, ("60", "30")),
        ([0.1], 0.0, {"GWS_NOTIFICATION_TIMEOUT": "5"}, NOTABLE, ("60", "30")),
        ([0.1], 0.0, {"GWS_NOTIFICATION_TIMEOUT": "500"}, SETTLED, ("500", "30")),
        ([1.0, 7.0], 0.0, {}, NOTABLE, ("150", "90")),
        ([0.1], 50.0, {}, NOTABLE, ("60", "60")),
        ([], 0.0, {}, OPEN, None),
    ],
)
def test_time(
    seconds: list[float],
    interval: float,
    told: dict[str, str],
    standing: Standing,
    advised: tuple[str, str] | None,
) -> None:
    found = answers.time(seconds, interval, settings(**told))
    assert found.standing is standing
    names = ("GWS_NOTIFICATION_TIMEOUT", "GWS_CANARY_INTERVAL")
    assert dict(found.settings) == (dict(zip(names, advised, strict=True)) if advised else {})


@pytest.mark.parametrize(
    ("before", "there", "after", "is_one"),
    [
        ("12", "13", "14", True),
        ("12", "20", "31", True),
        ("12", "1", "13", False),
        ("1", "1", "2", False),
        ("12", "500", "13", False),
        ("a1", "b1", "a2", None),
    ],
)
def test_reference_ids(before: str, there: str, after: str, is_one: bool | None) -> None:
    assert sessions.is_one_counter(before, there, after) is is_one
    found = sessions.reference_ids(before, there, after)
    assert found.standing is (OPEN if is_one is None else SETTLED)
    if is_one is not None:
        assert ("one counter" in found.verdict) is is_one


@pytest.mark.parametrize(
    ("here", "there", "is_one", "standing", "wording"),
    [
        (0, 0, True, SETTLED, "no other"),
        (1, 0, True, NOTABLE, "told apart"),
        (0, 1, False, NOTABLE, "can be the same"),
        (1, 1, None, NOTABLE, "can be the same"),
    ],
)
def test_hearing(
    here: int, there: int, is_one: bool | None, standing: Standing, wording: str
) -> None:
    found = sessions.hearing(here, there, is_one_counter=is_one)
    assert found.standing is standing
    assert wording in found.verdict


def test_each_question_has_one_row_whatever_was_asked() -> None:
    told = [settled(Question.SORT, "yes"), settled(Question.ARCHIVE, "x", HISTORY_SOURCES="main")]
    rows = completed(told, "nobody asked")
    assert [row.question for row in rows] == list(Question)
    assert {row.verdict for row in rows} == {"yes", "x", "nobody asked"}
    assert settings_of(rows) == {"HISTORY_SOURCES": "main"}
    assert Finding(Question.SORT, "yes") in rows


@pytest.mark.parametrize(
    ("records", "total", "ids"),
    [
        ([{"id": "a", "startDate": "2026-03-04 09:15:00.000+0200"}], 1, ["a"]),
        ([None, 7, "text", ["a"], {}], 5, []),
        ([{"id": "a", "startDate": "2026-03-04 09:15:00.000"}], 1, []),
        ([{"id": "", "startDate": "2026-03-04 09:15:00.000+0200"}], 1, []),
        ([{"id": 7, "startDate": "2026-03-04 09:15:00.000+0200"}], 1, []),
        ([{"id": "a", "contactId": 5, "startDate": "2026-03-04 09:15:00.000+0200"}], 1, ["a"]),
    ],
)
def test_what_cannot_be_read_counts_and_no_more(
    records: list[Any], total: int, ids: list[str]
) -> None:
    found = seen(msgspec.Raw(msgspec.json.encode(records)))
    assert found.total == total
    assert [each.interaction_id for each in found.sightings] == ids


def test_a_start_is_read_with_its_offset() -> None:
    record = {"id": "a", "contactId": "c", "startDate": "1970-01-02 01:30:00.999+0130"}
    found = seen(msgspec.Raw(msgspec.json.encode([record])))
    assert found.sightings == (Sighting("a", "c", 86_400, 5_400),)
