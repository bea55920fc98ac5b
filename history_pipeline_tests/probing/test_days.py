"""Servers that cut days in one zone or another, asked until it is clear which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.history.zones import offset_at
from history_pipeline.probing import day_verdicts, days
from history_pipeline.probing.days import Reckoning
from history_pipeline.probing.finding import Finding, Standing
from history_pipeline.probing.seen import Sighting

OPEN, SETTLED, NOTABLE = Standing.OPEN, Standing.SETTLED, Standing.NOTABLE
MARCH = datetime(2026, 3, 2, tzinfo=UTC)
AROUND_THE_CLOCK = [MARCH + timedelta(hours=17 * n, minutes=20) for n in range(60)]
AT_NOON = [MARCH + timedelta(days=n, hours=11) for n in range(20)]
ZONES = ("Europe/Berlin", "Europe/London", "UTC", "Asia/Tokyo", "America/New_York", "Asia/Kolkata")


def sightings(moments: Iterable[datetime], written_in: str = "Europe/Berlin") -> list[Sighting]:
    zone = ZoneInfo(written_in)
    seconds = [int(moment.timestamp()) for moment in moments]
    return [Sighting(f"i{at}", "c", at, offset_at(zone, at)) for at in seconds]


@dataclass
class Server:
    """Cuts days in a zone; what it refuses comes to nothing."""

    zone: str
    is_included: bool
    refuses_single_days: bool = False
    asked: int = 0

    def ids(self, held: list[Sighting], first: date, last: date) -> list[str] | None:
        self.asked += 1
        if self.refuses_single_days and first == last:
            return None
        zone = ZoneInfo(self.zone)
        after = last + timedelta(days=1) if self.is_included else last
        return [
            each.interaction_id
            for each in held
            if first <= datetime.fromtimestamp(each.moment, zone).date() < after
        ]


def reckoned(
    server: Server, held: list[Sighting], configured: str, before: Reckoning | None = None
) -> Reckoning:
    reckoning = Reckoning(configured, held) if before is None else before.with_another(held)
    while (asked := reckoning.next_question()) is not None:
        ids = server.ids(held, *asked)
        if ids is None:
            reckoning.passed(asked)
        else:
            reckoning.answered(asked, ids)
    return reckoning


def verdicts(reckoning: Reckoning) -> tuple[Finding, Finding]:
    return day_verdicts.to_date(reckoning, 1), day_verdicts.zone(reckoning)


@pytest.mark.parametrize("is_included", [True, False])
@pytest.mark.parametrize("true", ZONES)
@pytest.mark.parametrize("configured", ["Europe/Berlin", "UTC"])
def test_whichever_zone_days_are_cut_in_is_told_from_the_configured_one(
    configured: str, true: str, is_included: bool
) -> None:
    server = Server(true, is_included)
    reckoning = reckoned(server, sightings(AROUND_THE_CLOCK), configured)
    to_date, zone = verdicts(reckoning)
    assert to_date.standing is SETTLED
    assert to_date.verdict.startswith("yes") is is_included
    if true == configured:
        assert zone.standing is SETTLED
        assert dict(zone.settings) == {"GWS_TIMEZONE": configured}
    else:
        assert zone.standing is NOTABLE
        assert dict(zone.settings).get("GWS_TIMEZONE") != configured
    left = {name for each in reckoning.surviving for name in each.zones}
    assert any(reckoning.apart(name, true) == 0 for name in left), "the true one is never lost"
    assert server.asked <= 8


@pytest.mark.parametrize(
    ("true", "written_in"),
    [
        ("Europe/London", "Europe/London"),
        ("America/New_York", "America/New_York"),
        ("UTC", "Europe/Berlin"),
        ("UTC", "UTC"),
    ],
)
def test_the_zone_to_set_is_one_that_fits_days_and_offsets(true: str, written_in: str) -> None:
    held = sightings(AROUND_THE_CLOCK, written_in)
    reckoning = reckoned(Server(true, True), held, "Europe/Berlin")
    _, zone = verdicts(reckoning)
    assert reckoning.apart(dict(zone.settings)["GWS_TIMEZONE"], true) == 0


MORNINGS = [MARCH + timedelta(days=n, hours=hour) for n in range(20) for hour in (7, 23.5)]


@pytest.mark.parametrize(
    ("written_in", "standing"),
    [("Europe/Berlin", SETTLED), ("UTC", OPEN), ("Asia/Tokyo", OPEN)],
)
def test_a_zone_that_the_offsets_do_not_back_must_be_the_only_one_that_fits(
    written_in: str, standing: Standing
) -> None:
    held = sightings(MORNINGS, written_in)
    _, zone = verdicts(reckoned(Server("Europe/Berlin", True), held, "Europe/Berlin"))
    assert zone.standing is standing
    assert dict(zone.settings) == {"GWS_TIMEZONE": "Europe/Berlin"}


def test_zones_that_differ_in_another_season_are_not_chosen_from() -> None:
    winter = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=7 * n) for n in range(60)]
    held = sightings(winter, "America/New_York")
    _, zone = verdicts(reckoned(Server("America/New_York", True), held, "UTC"))
    assert zone.standing is NOTABLE
    assert dict(zone.settings) == {}, "Bogotá has the same clocks in winter"


@pytest.mark.parametrize("true", ["Europe/Berlin", "UTC"])
def test_at_noon_it_is_the_same_day_in_either_zone(true: str) -> None:
    to_date, zone = verdicts(reckoned(Server(true, True), sightings(AT_NOON), "Europe/Berlin"))
    assert (to_date.standing, zone.standing) == (SETTLED, OPEN)
    assert "--contact" in zone.verdict and "UTC" in zone.verdict


@pytest.mark.parametrize("true", ["Europe/Berlin", "UTC"])
def test_another_contact_who_is_active_at_night_tells(true: str) -> None:
    server = Server(true, True)
    first = reckoned(server, sightings(AT_NOON), "Europe/Berlin")
    night = sightings(AROUND_THE_CLOCK)
    found = days.telling(night, first)
    assert found is not None
    near = [each for each in night if abs(each.moment - found.moment) < 3 * 86_400]
    to_date, zone = verdicts(reckoned(server, near, "Europe/Berlin", first))
    assert to_date.standing is SETTLED
    assert zone.standing is (SETTLED if true == "Europe/Berlin" else NOTABLE)
    assert dict(zone.settings).get("GWS_TIMEZONE") in (true, None)
    assert f"{true}" in zone.verdict.rpartition(":")[2]


def test_another_contact_without_anything_changes_nothing() -> None:
    server = Server("Europe/Berlin", False)
    first = reckoned(server, sightings(AT_NOON), "Europe/Berlin")
    assert verdicts(first.with_another([])) == verdicts(first)


def test_where_single_days_are_refused_pairs_of_days_tell() -> None:
    server = Server("Europe/Berlin", False, refuses_single_days=True)
    to_date, zone = verdicts(reckoned(server, sightings(AROUND_THE_CLOCK), "Europe/Berlin"))
    assert to_date.verdict.startswith("no")
    assert zone.standing is SETTLED


def test_one_interaction_tells_whether_to_date_is_included() -> None:
    for is_included in (True, False):
        one = sightings(AT_NOON[:1])
        to_date, _ = verdicts(reckoned(Server("Europe/Berlin", is_included), one, "Europe/Berlin"))
        assert to_date.standing is SETTLED
        assert to_date.verdict.startswith("yes") is is_included


def test_answers_that_fit_no_zone_settle_nothing() -> None:
    reckoning = Reckoning("Europe/Berlin", sightings(AT_NOON))
    asked = reckoning.next_question()
    assert asked is not None
    reckoning.answered(asked, [each.interaction_id for each in reckoning.sightings])
    to_date, zone = verdicts(reckoning)
    assert (to_date.standing, zone.standing) == (OPEN, OPEN)
    assert "no zone" in to_date.verdict
    assert reckoning.next_question() is None


def test_without_answers_nothing_is_settled() -> None:
    to_date, zone = verdicts(Reckoning("Europe/Berlin", sightings(AT_NOON)))
    assert (to_date.standing, zone.standing) == (OPEN, OPEN)
    assert Reckoning("Europe/Berlin", []).next_question() is None


@pytest.mark.parametrize(
    ("is_included", "overlap", "standing", "advised"),
    [(True, 0, SETTLED, "0"), (False, 0, NOTABLE, "1"), (False, 2, SETTLED, "2")],
)
def test_an_overlap_makes_up_for_a_day_that_is_left_out(
    is_included: bool, overlap: int, standing: Standing, advised: str
) -> None:
    reckoning = reckoned(Server("UTC", is_included), sightings(AT_NOON), "UTC")
    found = day_verdicts.to_date(reckoning, overlap)
    assert found.standing is standing
    assert dict(found.settings) == {"HISTORY_OVERLAP_DAYS": advised}


@pytest.mark.parametrize(
    ("written_in", "configured", "standing", "wording"),
    [
        ("Europe/Berlin", "Europe/Berlin", SETTLED, "60 of 60"),
        ("Asia/Tokyo", "Europe/Berlin", NOTABLE, "0 of 60"),
        ("UTC", "Europe/Berlin", NOTABLE, "UTC"),
        ("UTC", "UTC", SETTLED, "60 of 60"),
    ],
)
def test_offsets_are_compared_with_the_configured_zone(
    written_in: str, configured: str, standing: Standing, wording: str
) -> None:
    found = day_verdicts.offsets(sightings(AROUND_THE_CLOCK, written_in), configured)
    assert found.standing is standing
    assert wording in found.verdict


def test_no_starts_no_offsets() -> None:
    assert day_verdicts.offsets([], "UTC").standing is OPEN
