"""Times as the server writes them, against zoneinfo."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from history_pipeline.history.instants import (
    LocalDays,
    UnreadableTime,
    day_number,
    instants,
    local_days,
    micros,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Asia/Pyongyang",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Africa/Casablanca",
    "Antarctica/Troll",
]
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


def exact(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def as_the_server_writes(moment: datetime) -> str:
    return (
        moment.strftime("%Y-%m-%d %H:%M:%S.")
        + f"{moment.microsecond // 1000:03d}"
        + moment.strftime("%z")
    )


# -- reading --------------------------------------------------------------------------------------


@given(MOMENTS, OFFSETS)
@example(datetime(2015, 10, 1, 13, 2, 7, tzinfo=UTC), timezone(timedelta(hours=3)))
def test_the_servers_form_names_its_instant_to_the_millisecond(
    moment: datetime, offset: timezone
) -> None:
    local = moment.astimezone(offset)
    whole = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    delta = offset.utcoffset(None)
    assert micros(as_the_server_writes(local)) == (exact(whole), int(delta.total_seconds()))


@given(MOMENTS, OFFSETS)
def test_iso_8601_is_read_as_well(moment: datetime, offset: timezone) -> None:
    assert micros(moment.astimezone(offset).isoformat())[0] == exact(moment)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "missing"),
        ("", "unreadable"),
        (" ", "unreadable"),
        ("null", "unreadable"),
        ("yesterday", "unreadable"),
        ("2015-13-01 00:00:00.000+0000", "unreadable"),
        ("2015-02-29 00:00:00.000+0000", "unreadable"),
        ("2015-10-01 25:00:00.000+0000", "unreadable"),
        ("2015-10-01 16:02:07.000+9900", "unreadable"),
        ("01.10.2015 16:02:07 +0300", "unreadable"),
        ("2015-10-01 16:02:07.000", "without_offset"),
        ("2015-10-01", "without_offset"),
        ("0001-01-01 00:00:00.000+0000", "out_of_range"),
        ("0001-01-01 00:00:00.000+1400", "out_of_range"),
        ("9999-12-31 23:59:59.999-1400", "out_of_range"),
        (1443704527000, "not_text"),
        (1443704527.5, "not_text"),
        (True, "not_text"),
        ({}, "not_text"),
        ([], "not_text"),
    ],
)
def test_what_names_no_instant_is_refused_by_a_word(text: Any, reason: str) -> None:
    with pytest.raises(UnreadableTime) as caught:
        micros(text)
    assert caught.value.reason == reason


@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}[+-]\d{4}"))
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(UnreadableTime):
        micros(text)


USUAL = r"\A[0-9]{4}-[0-3][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]\.[0-9]{3}[+-][0-2][0-9][0-6][0-9]\Z"


@given(
    st.lists(
        st.none()
        | st.text(max_size=30)
        | st.from_regex(USUAL)
        | st.from_regex(USUAL).map(lambda text: text.replace(" ", "T"))
        | st.text("0123456789-+:. \u0661", min_size=28, max_size=28)
        | st.builds(
            lambda moment, offset: as_the_server_writes(moment.astimezone(offset)), MOMENTS, OFFSETS
        )
        | st.datetimes(timezones=st.just(UTC)).map(as_the_server_writes),
        max_size=20,
    ),
    st.integers(0, 3),
)
@example(
    [
        "2015-02-29 00:00:00.000+0000",
        "2016-02-29 00:00:00.000-0000",
        "1900-02-29 00:00:00.000+0000",
    ],
    0,
)
@example(
    [
        "2015-10-01 16:02:07.000+2400",
        "2015-10-01 24:00:00.000+0000",
        "2015-10-01 16:02:60.000+0000",
    ],
    0,
)
@example(
    [
        "0000-00-00 00:00:00.000+0000",
        "2015-00-01 00:00:00.000+0000",
        "2015-01-00 00:00:00.000+0000",
    ],
    0,
)
def test_many_texts_read_at_once_are_what_each_is_alone(
    texts: list[str | None], skipped: int
) -> None:
    found = instants(pa.array(texts, pa.string())[skipped:])
    alone: list[tuple[int, int] | None] = []
    for text in texts[skipped:]:
        try:
            alone.append(micros(text))
        except UnreadableTime:
            alone.append(None)
    read = zip(found.micros.tolist(), found.offsets.tolist(), found.is_read.tolist(), strict=True)
    assert [(moment, offset) if is_read else None for moment, offset, is_read in read] == alone


def test_a_text_that_lies_under_a_null_is_not_read() -> None:
    texts = pa.array(["2015-10-01 16:02:07.000+0200"] * 2)
    is_valid = pa.py_buffer(b"\x01")
    masked = pa.StringArray.from_buffers(2, texts.buffers()[1], texts.buffers()[2], is_valid)
    assert instants(masked).is_read.tolist() == [True, False]


# -- local days -----------------------------------------------------------------------------------


def oracle(zone: str, moment: datetime) -> tuple[int, int]:
    local = moment.astimezone(ZoneInfo(zone))
    delta = local.utcoffset()
    assert delta is not None
    return day_number(local.date()), int(delta.total_seconds())


def local(days: LocalDays, moment: datetime) -> tuple[int, int]:
    moments = np.array([exact(moment)])
    offsets = days.offsets(moments)
    return int(local_days(moments, offsets)[0]), int(offsets[0])


@given(st.sampled_from(ZONES), MOMENTS)
def test_the_local_day_is_zoneinfos(zone: str, moment: datetime) -> None:
    days = LocalDays(ZoneInfo(zone))
    assert local(days, moment) == oracle(zone, moment)


TRANSITIONS = [
    ("Europe/Berlin", datetime(2024, 3, 31, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2024, 10, 27, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 3, 10, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 11, 3, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 4, 6, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2024, 10, 5, 15, 30, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # midnight does not exist
    ("Asia/Tehran", datetime(2021, 3, 21, 20, 30, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # a whole day does not exist
    ("Asia/Pyongyang", datetime(2018, 5, 4, 15, tzinfo=UTC)),
]


@pytest.mark.parametrize(("zone", "change"), TRANSITIONS)
def test_the_day_is_right_on_both_sides_of_a_change_of_clocks(zone: str, change: datetime) -> None:
    days = LocalDays(ZoneInfo(zone))
    for seconds in [-86_400, -3_600, -900, -1, 0, 1, 899, 900, 3_600, 86_400]:
        moment = change + timedelta(seconds=seconds)
        assert local(days, moment) == oracle(zone, moment)


@given(st.sampled_from(ZONES), st.dates(date(2005, 1, 1), date(2035, 1, 1)))
def test_midnight_is_the_first_instant_of_its_day(zone: str, day: date) -> None:
    """Through a change at midnight too: the last microsecond before belongs to a day before."""
    days = LocalDays(ZoneInfo(zone))
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    for moment in (midnight, midnight - timedelta(microseconds=1)):
        assert local(days, moment)[0] == oracle(zone, moment)[0]


@pytest.mark.parametrize("day", [date(1, 1, 3), date(1969, 12, 31), date(9999, 12, 28)])
def test_the_edges_of_the_calendar_have_days_too(day: date) -> None:
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    for zone in ZONES:
        assert abs(local(LocalDays(ZoneInfo(zone)), moment)[0] - day_number(day)) <= 1


def test_remembered_offsets_are_bounded() -> None:
    days = LocalDays(ZoneInfo("Europe/Berlin"))
    for some in np.arange(50_000).reshape(50, 1_000):
        days.offsets(some * 900_000_000)
    assert len(days._offsets) <= 20_000


def test_a_day_number_counts_from_1970() -> None:
    assert [day_number(date(1969, 12, 31)), day_number(date(1970, 1, 1))] == [-1, 0]
