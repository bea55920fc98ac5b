"""When agents are at work, and what is no way to say it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from history_pipeline.business_hours import parse

# 2 November 2026 is a Monday


@pytest.mark.parametrize(
    ("text", "moment", "held"),
    [
        ("Mon-Fri 08:00-18:00", "2026-11-02 08:00", True),
        ("Mon-Fri 08:00-18:00", "2026-11-02 07:59", False),
        ("Mon-Fri 08:00-18:00", "2026-11-06 17:59", True),
        ("Mon-Fri 08:00-18:00", "2026-11-06 18:00", False),
        ("Mon-Fri 08:00-18:00", "2026-11-07 12:00", False),
        ("mon,Wed 8:00 - 9:30", "2026-11-04 09:29", True),
        ("mon,Wed 8:00 - 9:30", "2026-11-03 09:00", False),
        ("Sat-Mon 08:00-12:00", "2026-11-01 08:00", True),
        ("Sat-Mon 08:00-12:00", "2026-11-03 08:00", False),
        ("Mon 22:00-24:00; Tue 00:00-06:00", "2026-11-02 23:59", True),
        ("Mon 22:00-24:00; Tue 00:00-06:00", "2026-11-03 05:59", True),
        ("Mon 22:00-24:00; Tue 00:00-06:00", "2026-11-02 05:59", False),
    ],
)
def test_hours_hold_from_their_start_to_just_before_their_end(
    text: str, moment: str, held: bool
) -> None:
    assert parse(text).hold(datetime.fromisoformat(moment)) is held


@pytest.mark.parametrize(
    ("moment", "held"),
    [("2026-11-01 23:58:00", False), ("2026-11-01 23:59:00", True), ("2026-11-03 00:00", False)],
)
def test_with_a_lead_they_hold_earlier_also_from_the_day_before(moment: str, held: bool) -> None:
    hours = parse("Mon 00:00-24:00")
    assert hours.hold(datetime.fromisoformat(moment), timedelta(seconds=60)) is held


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("always", "is not understood"),
        ("Mon-Fri", "is not understood"),
        ("Mon-Fri 08:00-18:00, Sat 09:00-13:00", "is not understood"),
        ("Mo-Fr 08:00-18:00", "is no day of the week"),
        ("Mon-Fri-Sun 08:00-18:00", "is no day of the week"),
        ("Mon 08:00-25:00", "is no time of day"),
        ("Mon 08:60-09:00", "is no time of day"),
        ("Mon 18:00-08:00", "two spans"),
        ("Mon 08:00-08:00", "two spans"),
        ("Mon 24:00-24:00", "two spans"),
    ],
)
def test_what_is_not_understood_is_named_with_how_to_write_it(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)
