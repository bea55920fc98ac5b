"""Discovery: whoever was active is found, or what was not listed in full is named, whichever way the
server is; on virtual time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import chain, repeat
from random import Random
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.contacts.activity import CutListing
from history_pipeline.contacts.sizes import SIZES
from history_pipeline.errors import (
    AnswerFailed,
    EpochLost,
    RequestRefused,
    ServerFault,
    ServerSilent,
    ServerUnusable,
    SessionLost,
    Throttled,
)
from history_pipeline.model import ListingState, Source, Window
from history_pipeline_tests.contacts.active_site import DAYS, TRIES, Site, Talk, talks

ZONES = ("Europe/Berlin", "UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati")
DAY = date(2026, 10, 4)


def noon(day: date = DAY, minutes: float = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC) + timedelta(minutes=minutes)


def crowd(count: int, kinds: tuple[str, ...] = ("chat",), day: date = DAY) -> list[Talk]:
    """So many on one day, each with a contact of its own."""
    return [
        Talk(n, noon(day, n / 10), f"c{n}", kinds[n * len(kinds) // count]) for n in range(count)
    ]


# -- whoever was active is found ------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_whoever_was_active_is_found_or_what_is_cut_is_named(seed: int) -> None:
    """Servers of all kinds; what can be missing without a word is what makes this test fail."""
    draw = Random(seed)
    for _ in range(10):
        zone = ZoneInfo(draw.choice(ZONES))
        kinds = draw.choice((("chat", "email", "call"), ("Chat", "smssession", "workitem", "call")))
        sorts = draw.random() < 0.8
        site = Site(
            talks(draw, draw.choice((0, 3, 30, 200, 600)), kinds=kinds),
            cuts_in=zone,
            writes_in=zone if draw.random() < 0.7 else UTC,
            includes_last=draw.random() < 0.5,
            sorts=sorts,
            refuses_above=draw.choice((None, None, 100, 137, 1_500)),
            cuts_at=draw.choice((None, None, 12, 37, 50, 100, 128, 5 if sorts else 20)),
            faults=iter([ServerFault("")] * draw.choice((0, 0, 1, 3))),
        )
        found = site.discover(zone=zone)
        active = site.active(zone=zone)
        if not found.cut:
            assert found.contact_ids == active
        assert found.contact_ids <= active


@pytest.mark.parametrize("included", [True, False])
@pytest.mark.parametrize("sorts", [True, False])
def test_a_server_that_cuts_at_little_hides_nobody(included: bool, sorts: bool) -> None:
    site = Site(talks(Random(1), 600), includes_last=included, sorts=sorts, cuts_at=40)
    found = site.discover()
    assert found.contact_ids == site.active()
    if sorts:  # one that does not cannot prove that lengths which come again are none of its own
        assert found.cut == []


def test_a_span_in_which_nothing_happened_is_asked_once_a_source() -> None:
    site = Site()
    assert site.discover().contact_ids == set()
    assert [(each["fromDate"], each["toDate"], each["source"]) for each in site.asked] == [
        ("2026-09-30", "2026-10-09", "main"),
        ("2026-09-30", "2026-10-09", "archive"),
    ]


def test_a_span_is_asked_both_ways_and_not_day_by_day() -> None:
    site = Site(talks(Random(1), 600))
    assert site.discover().contact_ids == site.active()
    assert [(each["source"], each["sort"]) for each in site.asked] == [
        ("main", "asc"), ("main", "desc"), ("archive", "asc"), ("archive", "desc"),
    ]  # fmt: skip


def test_days_without_end_are_asked_in_spans_of_bounded_length() -> None:
    site = Site()
    site.discover(Window(date(2026, 1, 1), date(2026, 3, 1)))
    assert [(each["fromDate"], each["toDate"]) for each in site.asked[::2]] == [
        ("2025-12-31", "2026-02-01"), ("2026-01-31", "2026-03-01"),
    ]  # fmt: skip


def test_two_answers_that_meet_are_enough() -> None:
    """All of what one answer alone would have cut."""
    talked = talks(Random(2), 150)
    site = Site([Talk(t.number, t.start, t.contact_id) for t in talked], cuts_at=100)
    assert site.discover().contact_ids == site.active()
    assert len(site.asked) == 3


def test_who_was_active_on_days_beside_is_not_asked() -> None:
    site = Site(
        [Talk(1, noon(DAYS.start - timedelta(days=1)), "before"), Talk(2, noon(), "within")]
    )
    assert site.discover().contact_ids == {"within"}
    assert site.discover(zone=None).contact_ids == {"before", "within"}


def test_nobodys_interactions_are_counted_and_find_nobody() -> None:
    site = Site([Talk(1, noon(), None), Talk(2, noon(), "c")])
    assert site.discover().contact_ids == {"c"}
    assert [(row.records, row.nobodys) for row in site.rows if row.records] == [(2, 1)] * 2


@pytest.mark.parametrize("start", ["", "0001-01-01 00:00:00.000+0100", "9999-12-31 23:00:00.000Z"])
def test_a_start_that_nobody_can_read_costs_no_contact(start: str) -> None:
    class Odd(Talk):
        def record(self, zone: object) -> dict[str, object]:
            return {"contactId": "odd", "startDate": start, "id": "i"}

    assert Site([Odd(1, noon(), "odd")]).discover().contact_ids == {"odd"}


# -- how many records are asked for ---------------------------------------------------------------


def test_the_largest_size_that_is_granted_is_found_and_kept() -> None:
    site = Site(crowd(1_600, ("chat", "email")), refuses_above=700)
    found = site.discover()
    assert found.contact_ids == site.active()
    sizes = [each["maxSize"] for each in site.asked]
    assert sizes[:5] == [10_000, 5_000, 2_000, 1_000, 500]
    settled = sizes[10:]
    assert set(settled) == {max(size for size in sizes if size <= 700)}
    assert settled[0] > 650


def test_a_size_that_does_is_not_looked_beyond() -> None:
    site = Site(crowd(90), refuses_above=700)
    site.discover()
    assert [each["maxSize"] for each in site.asked] == [10_000, 5_000, 2_000, 1_000, *[500] * 3]


def test_a_size_that_the_server_cannot_bear_is_made_smaller() -> None:
    faults = iter([AnswerFailed(""), ServerFault("HTTP 500")])
    site = Site(crowd(90), faults=faults)
    assert len(site.discover().contact_ids) == 90
    assert {each["maxSize"] for each in site.asked} == {2_000}


# -- what stays cut is named ----------------------------------------------------------------------


def test_a_crowded_day_is_asked_by_media_types() -> None:
    site = Site(crowd(400, ("chat", "Email", "call")), cuts_at=100)
    found = site.discover()
    assert found.cut == []
    assert found.contact_ids == site.active()


@pytest.mark.parametrize("included", [True, False])
def test_a_crowd_in_one_media_type_is_named(included: bool) -> None:
    site = Site(crowd(400, ("chat", "chat", "call")), cuts_at=100, includes_last=included)
    found = site.discover()
    assert found.cut == [CutListing(DAY, Source.MAIN, "chat")]
    assert len(found.contact_ids & site.active()) >= 100


def test_media_types_that_cannot_be_asked_for_are_named() -> None:
    talked = [*crowd(300, ("chat", "call", "smssession"))]
    site = Site(talked, cuts_at=120)
    found = site.discover()
    assert found.cut == [CutListing(DAY, Source.MAIN, "smssession")]


def test_a_media_type_that_is_taken_though_it_is_not_documented_is_no_gap() -> None:
    takes = ("chat", "call", "smssession", "email")
    site = Site(crowd(300, ("chat", "call", "smssession")), cuts_at=120, takes=takes)
    found = site.discover()
    assert found.cut == []
    assert found.contact_ids == site.active()


def test_a_media_type_that_fails_each_time_is_named() -> None:
    site = Site(crowd(250, ("chat", "call", "email")), cuts_at=100)
    refused = site.attempt

    async def attempt(inquiry: object) -> object:
        answer = await refused(inquiry)
        if site.asked[-1].get("mediaType") == "twitter":
            raise AnswerFailed("")
        return answer

    site.attempt = attempt
    assert site.discover().cut == [CutListing(DAY, Source.MAIN, "twitter")]


def test_more_at_one_moment_than_one_answer_holds_is_named() -> None:
    """Both answers end within it, and share some of it: that does not make them meet."""
    at_once = [Talk(n, noon(), f"c{n}") for n in range(150)]
    site = Site([Talk(1_000, noon(minutes=-9), "x"), *at_once, Talk(1_001, noon(minutes=9), "y")])
    site.cuts_at = 100
    assert site.discover().cut == [CutListing(DAY, Source.MAIN, "chat")]


def test_a_server_that_does_not_sort_is_not_believed_to_have_shown_all() -> None:
    site = Site(talks(Random(3), 300), sorts=False, cuts_at=137)
    assert site.discover().contact_ids == site.active()


# -- the ledger -----------------------------------------------------------------------------------


def test_every_question_is_put_down() -> None:
    site = Site(crowd(20), refuses_above=7_000, faults=iter([SessionLost("")]))
    site.discover()
    told = [
        (r.source, r.sort, r.max_size, r.state, r.records, r.attempts, r.error) for r in site.rows
    ]
    main, archive = Source.MAIN, Source.ARCHIVE
    refused, answered = ListingState.REFUSED, ListingState.ANSWERED
    assert told == [
        (main, "asc", 10_000, refused, 0, 1, "status code 10 (HTTP 400)"),
        (main, "asc", 5_000, answered, 20, 1, None),
        (main, "desc", 5_000, answered, 20, 1, None),
        (archive, "asc", 5_000, answered, 0, 1, None),
    ]
    assert [row.seconds for row in site.rows[1:]] == [1.0, 1.0, 1.0]
    assert {(row.from_date, row.to_date) for row in site.rows} == {
        (date(2026, 9, 30), date(2026, 10, 9))
    }


def test_tries_that_were_spent_are_counted() -> None:
    site = Site(crowd(20), faults=chain([AnswerFailed("")] * (len(SIZES) - 1 + TRIES - 1)))
    site.discover()
    spent, last = site.rows[: len(SIZES) - 1], site.rows[len(SIZES) - 1]
    assert {(row.state, row.attempts) for row in spent} == {(ListingState.FAILED, 1)}
    assert (last.state, last.attempts, last.max_size) == (ListingState.ANSWERED, TRIES, 100)


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("exc", [EpochLost(""), SessionLost(""), Throttled(429, 1.0)])
def test_interruptions_spend_no_try(exc: Exception) -> None:
    site = Site(crowd(20), faults=iter([exc] * 10 * TRIES))
    assert len(site.discover().contact_ids) == 20
    assert {each["maxSize"] for each in site.asked} == {SIZES[0]}


@pytest.mark.parametrize("exc", [EpochLost(""), SessionLost(""), Throttled(429, 1.0)])
def test_interruptions_without_end_end_the_run(exc: Exception) -> None:
    site = Site(faults=repeat(exc))
    with pytest.raises(ServerSilent, match="interrupted for 60 s"):
        site.discover()
    assert [row.state for row in site.rows] == [ListingState.FAILED]


@pytest.mark.parametrize("exc", [AnswerFailed(""), ServerFault("HTTP 500"), RequestRefused("")])
def test_what_is_never_answered_ends_the_run(exc: Exception) -> None:
    site = Site(faults=repeat(exc))
    with pytest.raises(ServerUnusable, match=r"2026-09-30\.\.2026-10-09 \(main\)"):
        site.discover()
    assert [row.max_size for row in site.rows] == [*SIZES]


def test_tries_are_spent_on_the_question_once_a_size_was_granted() -> None:
    fine = Site(crowd(20))
    fine.discover()
    site = Site(crowd(20))
    real, count = site.attempt, 0

    async def attempt(inquiry: object) -> object:
        nonlocal count
        count += 1
        if 1 < count <= 1 + TRIES:
            raise AnswerFailed("")
        return await real(inquiry)

    site.attempt = attempt
    with pytest.raises(ServerUnusable, match="not answered"):
        site.discover()
    assert site.rows[-1].attempts == TRIES
