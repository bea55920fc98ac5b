"""What makes a killed run go on where it was, and what does not."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from history_pipeline.errors import LockTimeout
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline.storage import attempts
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.storage.lake import MAY, NOON

IDS = pa.array(["b", "a", "c", "a", "B"])


def start(layout: Layout, now: datetime = NOON, days: Window = MAY, print_: str = "f") -> Any:
    return attempts.start(layout, days, print_, IDS, now)


def settings(**changes: Any) -> Settings:
    given = {
        "GWS_URL": "https://gws.example.com",
        "GWS_USERNAME": "reader",
        "GWS_PASSWORD": "secret",
        "GWS_TIMEZONE": "Europe/Berlin",
        "HISTORY_CONTACTS": "gws",
    } | changes
    return Settings(_env_file=None, **given)


def test_the_contact_list_is_frozen_sorted_and_each_id_once(layout: Layout) -> None:
    attempt = start(layout)
    assert attempt.contact_ids().to_pylist() == ["B", "a", "b", "c"]
    assert attempt.contacts == 4


def test_an_attempt_is_found_again_as_it_was(layout: Layout) -> None:
    attempt = start(layout)
    assert attempts.by_id(layout, attempt.run_id) == attempt
    assert attempts.resumable(layout, MAY, "f", NOON) == attempt


def test_an_unknown_run_is_none(layout: Layout) -> None:
    assert attempts.by_id(layout, "20240101T000000Z-00000000") is None
    assert attempts.resumable(layout, MAY, "f", NOON) is None


@pytest.mark.parametrize(
    ("days", "print_", "age", "resumed"),
    [
        (MAY, "f", timedelta(0), True),
        (MAY, "f", timedelta(hours=24) - timedelta(microseconds=1), True),
        (MAY, "f", timedelta(hours=24), False),
        (MAY, "f", timedelta(days=30), False),
        (MAY, "g", timedelta(0), False),
        (Window(MAY.start, MAY.end + timedelta(days=1)), "f", timedelta(0), False),
        (Window(MAY.start + timedelta(days=1), MAY.end), "f", timedelta(0), False),
    ],
)
def test_only_an_equal_and_young_attempt_is_gone_on_with(
    layout: Layout, days: Window, print_: str, age: timedelta, resumed: bool
) -> None:
    start(layout)
    assert (attempts.resumable(layout, days, print_, NOON + age) is not None) is resumed


def test_the_age_is_counted_across_time_zones(layout: Layout) -> None:
    start(layout, NOON.astimezone(timezone(timedelta(hours=9))))
    assert attempts.resumable(layout, MAY, "f", NOON + timedelta(hours=23)) is not None
    assert attempts.resumable(layout, MAY, "f", NOON + timedelta(hours=25)) is None


def test_a_finished_attempt_is_not_gone_on_with(layout: Layout) -> None:
    attempts.finish(start(layout))
    assert attempts.resumable(layout, MAY, "f", NOON) is None


def test_of_several_the_newest_is_gone_on_with(layout: Layout) -> None:
    start(layout)
    newer = start(layout, NOON + timedelta(hours=1))
    start(layout, NOON - timedelta(hours=1))
    assert attempts.resumable(layout, MAY, "f", NOON + timedelta(hours=2)) == newer


def test_an_attempt_that_was_killed_before_it_was_whole_is_passed_over(layout: Layout) -> None:
    (layout.attempts / "20240601T120000Z-deadbeef").mkdir(parents=True)
    assert attempts.resumable(layout, MAY, "f", NOON) is None
    attempt = start(layout)
    assert attempts.resumable(layout, MAY, "f", NOON) == attempt


def test_finishing_removes_the_parts_and_the_list_and_can_be_repeated(layout: Layout) -> None:
    attempt = start(layout)
    attempt.window_directory(MAY).mkdir(parents=True)
    done = attempts.finish(attempt)
    assert [path.name for path in attempt.directory.iterdir()] == ["attempt.json"]
    assert attempts.finish(done) == done


def test_parts_that_nobody_can_go_on_with_are_removed_after_a_week(layout: Layout) -> None:
    old, young = start(layout), start(layout, NOON + timedelta(days=6))
    (old.window_directory(MAY) / "part-000001").mkdir(parents=True)
    assert attempts.sweep(layout, NOON + timedelta(days=7)) == 0
    assert attempts.sweep(layout, NOON + timedelta(days=8)) == 1
    assert not old.window_directory(MAY).exists()
    assert young.contact_ids().to_pylist() == ["B", "a", "b", "c"]
    assert attempts.sweep(layout, NOON + timedelta(days=8)) == 0


def test_nobody_else_goes_on_with_an_attempt_that_somebody_is_at_work_on(layout: Layout) -> None:
    older, newest = start(layout), start(layout, NOON + timedelta(hours=1))
    later = NOON + timedelta(hours=2)
    with attempts.at_work(newest):
        assert attempts.resumable(layout, MAY, "f", later) == older
        with pytest.raises(LockTimeout, match=str(os.getpid())) as caught:
            attempts.known(layout, MAY, "f", later)
        assert newest.run_id in str(caught.value)
        with pytest.raises(LockTimeout), attempts.at_work(newest):
            pass
    assert attempts.resumable(layout, MAY, "f", later) == newest
    assert attempts.known(layout, MAY, "f", later) == newest


def test_a_backfill_of_weeks_keeps_what_it_works_on(layout: Layout) -> None:
    attempt = start(layout)
    with attempts.at_work(attempt):
        assert attempts.sweep(layout, NOON + timedelta(days=30)) == 0
        assert attempt.contact_ids().to_pylist() == ["B", "a", "b", "c"]
    assert attempts.sweep(layout, NOON + timedelta(days=30)) == 1


def test_a_finished_attempt_leaves_no_lock(layout: Layout) -> None:
    attempt = start(layout)
    with attempts.at_work(attempt):
        attempts.finish(attempt)
    assert [path.name for path in attempt.directory.iterdir()] == ["attempt.json"]


def test_run_ids_sort_by_time_and_differ_by_what_is_asked(layout: Layout) -> None:
    first, second = start(layout), start(layout, NOON + timedelta(seconds=1))
    other = start(layout, print_="g")
    assert first.run_id < second.run_id
    assert first.run_id != other.run_id


def test_an_answer_taken_before_its_window_had_ended_is_never_reused(layout: Layout) -> None:
    days = Window(date(2024, 5, 1), date(2024, 6, 2))
    start(layout, datetime(2024, 6, 1, 12, tzinfo=UTC), days)
    assert attempts.resumable(layout, days, "f", datetime(2024, 6, 2, 9, tzinfo=UTC)) is None


# -- the fingerprint ------------------------------------------------------------------------------


def test_the_full_list_behind_activity_is_in_the_fingerprint() -> None:
    listed = settings(HISTORY_CONTACTS="activity", HISTORY_FULL_LIST="gws")
    assert attempts.fingerprint(listed) != attempts.fingerprint(
        settings(HISTORY_CONTACTS="activity")
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GWS_URL", "https://other.example.com"),
        ("GWS_TIMEZONE", "Europe/London"),
        ("HISTORY_SOURCES", "main"),
        ("HISTORY_MEDIA_TYPE", "chat"),
        ("HISTORY_CUSTOM_ATTRIBUTES", '["OrderNo"]'),
        ("HISTORY_SEARCH_ATTRIBUTES", '{"OrderNo":"1"}'),
        ("HISTORY_CONTACTS", "activity"),
        ("HISTORY_CONTACTS", "file:/contacts.csv"),
        ("GWS_CONTACTS_PATH", "/other"),
        ("HISTORY_WINDOW_DAYS", "7"),
        ("HISTORY_OVERLAP_DAYS", "0"),
    ],
)
def test_what_decides_the_answers_is_in_the_fingerprint(name: str, value: str) -> None:
    assert attempts.fingerprint(settings(**{name: value})) != attempts.fingerprint(settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GWS_PASSWORD", "another"),
        ("GWS_USERNAME", "another"),
        ("GWS_CONCURRENCY", "64"),
        ("GWS_REQUESTS_PER_SECOND", "0"),
        ("GWS_NOTIFICATION_TIMEOUT", "1"),
        ("GWS_MAX_ATTEMPTS", "1"),
        ("GWS_URL", "https://gws.example.com/"),
        ("HISTORY_SOURCES", "archive, main"),
    ],
)
def test_what_decides_no_answer_is_not(name: str, value: str) -> None:
    assert attempts.fingerprint(settings(**{name: value})) == attempts.fingerprint(settings())


def test_attribute_names_are_compared_exactly_and_in_no_order() -> None:
    def print_of(names: str) -> str:
        return attempts.fingerprint(settings(HISTORY_CUSTOM_ATTRIBUTES=names))

    assert print_of('["a","b"]') == print_of('["b","a","a"]')
    assert print_of('["a"]') != print_of('["A"]')
