"""The world: the same for the same seed, cut in its zone, and odd in every promised way."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.simulator import ARCHIVE, DEFECTS, MAIN, Record, World

SOURCES = (MAIN, ARCHIVE)


@cache
def everything() -> tuple[World, list[tuple[str, str, Record]]]:
    start, end = date(2024, 10, 14), date(2024, 11, 13)
    world = World(seed=3, contacts=400, unreadable_share=0.02, start=start, end=end)
    rows = [
        (contact.contact_id, source, record)
        for contact in world.contacts()
        for source in SOURCES
        for record in world.records(contact.contact_id, source)
    ]
    return world, rows


def readable() -> list[tuple[str, str, Record]]:
    return [row for row in everything()[1] if row[2].readable]


def test_a_world_is_a_function_of_its_seed_and_index() -> None:
    one, same, other = World(seed=5), World(seed=5, contacts=100), World(seed=6)
    assert one.contact(42) == same.contact(42) != other.contact(42)
    contact_id = one.contact_id(42)
    assert one.records(contact_id, MAIN) == same.records(contact_id, MAIN)
    assert one.contact(7) == World(seed=5).contact(7)


def test_the_mean_is_kept() -> None:
    world = World(contacts=2000)
    total = sum(len(world.own_starts(index)) for index in range(world.size))
    assert 36_000 < total < 44_000


def test_contact_ids_have_16_characters_lead_back_and_some_differ_only_in_case() -> None:
    world = World(contacts=500)
    ids = [contact.contact_id for contact in world.contacts()]
    assert len(set(ids)) == 500 and {len(one) for one in ids} == {16}
    assert [world.index_of(one) for one in ids] == list(range(500))
    assert len({one.casefold() for one in ids}) == 500 - 12
    assert world.index_of(World(contacts=501).contact_id(500)) is None
    assert [world.index_of(text) for text in ("", "0001", "x" * 16, "é" * 16)] == [None] * 4
    assert world.records("unknown", MAIN) == []


def test_the_giant_is_as_large_as_asked() -> None:
    world = World(contacts=3, giant_interactions=1234)
    assert len(world.history(0)) == 1234


def test_starts_lie_in_the_span_and_on_no_quiet_day() -> None:
    world, rows = everything()
    days = {record.started_at.astimezone(world.zone).date() for _, _, record in rows}
    assert days == set(world.active_days)
    span = {world.start + timedelta(n) for n in range(30)}
    assert 1 <= len(span - days) <= 4


def test_the_text_of_a_start_means_the_instant_on_which_the_filter_acts() -> None:
    offsets: Counter[str] = Counter()
    for _, _, record in readable():
        text = record.payload["startDate"]
        assert datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f%z") == record.started_at
        offsets[text[-5:]] += 1
    assert {"+0000", "+0100", "+0200", "+0530", "-0800"} <= set(offsets)


def test_starts_stand_at_the_edges_of_days_and_in_both_repeated_hours() -> None:
    world, rows = everything()
    local = [record.started_at.astimezone(world.zone) for _, _, record in rows]
    clock = {one.time().isoformat() for one in local}
    assert {"00:00:00", "23:59:59.999000"} <= clock
    change_day = [one for one in local if one.date() == date(2024, 10, 27) and one.hour == 2]
    assert {one.fold for one in change_day} == {0, 1}


def test_the_hour_that_is_skipped_in_spring_has_a_start_on_either_side() -> None:
    world = World(contacts=100, start=date(2024, 3, 20), end=date(2024, 4, 5))
    starts = {ms for index in range(100) for ms in world.own_starts(index)}
    change = round(datetime(2024, 3, 31, 1, tzinfo=UTC).timestamp()) * 1000
    assert {change - 1, change} <= starts


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia"])
def test_any_zone_will_do(zone: str) -> None:
    world = World(contacts=20, zone=zone, start=date(2018, 10, 25), end=date(2018, 11, 25))
    days = {
        record.started_at.astimezone(ZoneInfo(zone)).date()
        for contact in world.contacts()
        for source in SOURCES
        for record in world.records(contact.contact_id, source)
    }
    assert days <= set(world.active_days)


def test_records_come_by_start_and_ids_occur_once_in_an_answer() -> None:
    world, _ = everything()
    for contact in world.contacts():
        for source in SOURCES:
            records = world.records(contact.contact_id, source)
            assert all(a.started_at <= b.started_at for a, b in pairwise(records))
            ids = [record.payload["id"] for record in records if record.readable]
            assert len(ids) == len(set(ids))


def test_every_defect_occurs_and_is_not_taken_for_readable() -> None:
    _, rows = everything()
    found = {record.defect for _, _, record in rows} - {None}
    assert found == set(DEFECTS)
    for _, _, record in rows:
        if record.readable:
            assert record.payload["id"]
            assert json.dumps(record.payload, ensure_ascii=False).encode()


def test_defects_can_be_chosen_or_left_out() -> None:
    only = World(contacts=50, unreadable_share=0.5, defects=("null",))
    rows = [r for i in range(50) for r in only.records(only.contact_id(i), MAIN)]
    assert {record.defect for record in rows} == {None, "null"}
    none = World(contacts=50, unreadable_share=0.0)
    assert all(r.readable for i in range(50) for r in none.records(none.contact_id(i), MAIN))


def test_media_types_states_and_ends_are_mixed() -> None:
    payloads = [record.payload for _, _, record in readable()]
    assert {"Chat", "chat", "smssession", "WorkItem"} <= {one["mediaType"] for one in payloads}
    pairs = {(one["state"], "endDate" in one) for one in payloads}
    assert {("InProcess", True), ("InProcess", False), ("Stopped", True)} <= pairs


def test_owners_and_subjects_are_missing_partial_or_empty_on_some() -> None:
    payloads = [record.payload for _, _, record in readable()]
    owners = [one.get("ownerInformation") for one in payloads]
    assert {None, 0, 1, 2, 4} == {None if one is None else len(one) for one in owners}
    assert any("subject" not in one for one in payloads)
    assert any(one.get("subject") == "" for one in payloads)
    assert any(not one.get("subject", "").isascii() for one in payloads)
    for extra in ("parentId", "comment", "threadId", "userData", "phoneNumber"):
        assert any(extra in one for one in payloads), extra


def test_attributes_differ_in_case_alone_and_hold_more_than_texts() -> None:
    maps = [record.payload.get("customAttributes") for _, _, record in readable()]
    assert None in maps
    assert any({"OrderNo", "orderno"} <= set(one) for one in maps if one)
    values = [value for one in maps if one for value in one.values()]
    assert {str, int, float, bool, type(None), dict, list} <= {type(one) for one in values}
    assert "" in values


def test_both_sources_hold_copies_that_agree_or_that_main_still_has_open() -> None:
    copies: dict[str, dict[str, dict[str, object]]] = {}
    for _, source, record in readable():
        copies.setdefault(record.payload["id"], {})[source] = record.payload
    kinds = Counter(tuple(sorted(one)) for one in copies.values())
    assert set(kinds) == {("archive",), ("archive", "main"), ("main",)}
    both = [one for one in copies.values() if len(one) == 2]
    assert any(one["main"] == one["archive"] for one in both)
    assert any("endDate" not in one["main"] and "endDate" in one["archive"] for one in both)


def test_a_merged_contact_has_its_interactions_under_both_ids() -> None:
    world, rows = everything()
    askers: dict[str, set[str]] = {}
    foreign = 0
    for contact_id, _, record in rows:
        if record.readable:
            askers.setdefault(record.payload["id"], set()).add(contact_id)
            foreign += record.payload["contactId"] != contact_id
    assert any(len(one) == 2 for one in askers.values()) and foreign
    winner, loser = world.contact_id(10), world.contact_id(11)
    shared = {r.payload["id"] for r in world.records(loser, MAIN) if r.readable}
    assert shared <= {r.payload["id"] for r in world.records(winner, MAIN) if r.readable}


def test_some_contacts_are_silent() -> None:
    world = World(contacts=200)
    assert 5 < sum(not world.own_starts(index) for index in range(200)) < 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"contacts": -1},
        {"start": date(2024, 1, 2), "end": date(2024, 1, 2)},
        {"defects": ("unheard of",)},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        World(**wrong)  # type: ignore[arg-type]
