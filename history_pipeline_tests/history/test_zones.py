"""A zone that cannot be the server's is noticed, and the likely one is named."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.history.zones import likely_zones

JANUARY, JULY = (int(datetime(2026, month, 10, 12, tzinfo=UTC).timestamp()) for month in (1, 7))


def offsets(zone: str, *moments: int) -> list[tuple[int, int]]:
    found = []
    for moment in moments:
        delta = datetime.fromtimestamp(moment, ZoneInfo(zone)).utcoffset()
        assert delta is not None
        found.append((moment, int(delta.total_seconds())))
    return found


@pytest.mark.parametrize(
    ("zone", "configured", "likely"),
    [
        ("Asia/Kolkata", "Europe/Berlin", ["Asia/Colombo", "Asia/Kolkata"]),
        ("America/New_York", "Europe/Berlin", ["America/Havana", "America/New_York"]),
        ("Europe/Berlin", "Europe/London", ["Europe/Paris"]),
        ("Australia/Lord_Howe", "UTC", ["Australia/Lord_Howe"]),
    ],
)
def test_offsets_of_both_halves_of_a_year_name_the_zone(
    zone: str, configured: str, likely: list[str]
) -> None:
    assert likely_zones(offsets(zone, JANUARY, JULY), configured) == likely


def test_of_zones_that_explain_as_much_those_of_the_same_continent_are_named() -> None:
    found = likely_zones(offsets("Europe/Berlin", JULY), "Europe/London")
    assert found == ["Europe/Paris"]


def test_a_few_odd_offsets_do_not_outweigh_the_rest() -> None:
    sample = [*offsets("Asia/Kolkata", JANUARY, JULY), (JANUARY + 3600, 0)]
    assert "Asia/Kolkata" in likely_zones(sample, "Europe/Berlin")
