"""The contacts ever listed, and the passes over a list that led to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from history_pipeline.contacts.listing import MOST_PASSES, refresh
from history_pipeline.model import Contact
from history_pipeline.storage import contact_list
from history_pipeline.storage.contact_list import Listed
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.storage.lake import NOON, run_moment


class Lists:
    """A contact source whose list is another at each pass; the last one stays."""

    def __init__(self, *passes: Sequence[str | Contact], can_change: bool = True) -> None:
        self.can_change = can_change
        self._passes = list(passes)
        self.read = 0

    def pages(self) -> Iterator[list[Contact]]:
        ids = self._passes[min(self.read, len(self._passes) - 1)]
        self.read += 1
        contacts = [one if isinstance(one, Contact) else Contact(one) for one in ids]
        for start in range(0, len(contacts), 2):
            yield contacts[start : start + 2]


def rows(layout: Layout) -> dict[str, dict[str, Any]]:
    return {row["contact_id"]: row for row in pq.read_table(layout.contacts).to_pylist()}


def current(layout: Layout) -> list[str]:
    return list(contact_list.current_ids(layout).to_pylist())


def test_a_list_that_can_change_is_read_until_two_passes_agree(layout: Layout) -> None:
    lists = Lists(["a", "b", "c"], ["a", "b"], ["b", "a"])
    assert refresh(lists, layout, NOON) == Listed(3, 3, 3, passes_agree=True)
    assert current(layout) == ["a", "b", "c"]


def test_a_list_that_cannot_change_is_read_once(layout: Layout) -> None:
    lists = Lists(["a"], ["b"], can_change=False)
    assert refresh(lists, layout, NOON) == Listed(1, 1, 1, passes_agree=True)


def test_a_list_that_never_comes_to_rest_is_read_five_times_and_all_seen_are_kept(
    layout: Layout,
) -> None:
    lists = Lists(*[[f"c{n}"] for n in range(20)])
    assert refresh(lists, layout, NOON) == Listed(5, 5, 5, passes_agree=False)
    assert lists.read == MOST_PASSES == 5


@pytest.mark.parametrize("ids", [["b", "a", "a"], ["A", "a"], ["a ", "a"], ["\u00e4", "a\u0308"]])
def test_ids_are_told_apart_exactly(layout: Layout, ids: list[str | Contact]) -> None:
    refresh(Lists(ids), layout, NOON)
    assert current(layout) == sorted({str(one) for one in ids})


def test_first_and_last_sight(layout: Layout) -> None:
    refresh(Lists(["stays", "leaves"]), layout, run_moment(0))
    refresh(Lists(["stays", "comes"]), layout, run_moment(1))
    seen = {key: (row["first_seen_at"], row["last_seen_at"]) for key, row in rows(layout).items()}
    assert seen == {
        "stays": (run_moment(0), run_moment(1)),
        "leaves": (run_moment(0), run_moment(0)),
        "comes": (run_moment(1), run_moment(1)),
    }
    assert current(layout) == ["comes", "stays"]


def test_who_comes_back_keeps_the_first_sight(layout: Layout) -> None:
    for run, ids in enumerate([["a", "b"], ["b"], ["a", "b"]]):
        refresh(Lists(list(ids)), layout, run_moment(run))
    assert rows(layout)["a"]["first_seen_at"] == run_moment(0)
    assert rows(layout)["a"]["last_seen_at"] == run_moment(2)


def test_a_reading_that_breaks_off_changes_nothing(layout: Layout) -> None:
    class Breaks(Lists):
        def pages(self) -> Iterator[list[Contact]]:
            yield [Contact("new")]
            raise RuntimeError("the server is gone")

    refresh(Lists(["a"]), layout, NOON)
    before = layout.contacts.read_bytes()
    with pytest.raises(RuntimeError):
        refresh(Breaks(), layout, run_moment(1))
    assert layout.contacts.read_bytes() == before
    assert not list(layout.scratch.iterdir())


def test_attributes_are_those_of_the_newest_pass(layout: Layout) -> None:
    first = [Contact("a", {"n": 1}), Contact("b", {"n": 1})]
    refresh(Lists(first), layout, run_moment(0))
    refresh(Lists([Contact("a", {"n": 2})]), layout, run_moment(1))
    kept = {key: json.loads(row["attributes"]) for key, row in rows(layout).items()}
    assert kept == {"a": {"n": 2}, "b": {"n": 1}}


def test_the_same_attributes_are_the_same_text(layout: Layout) -> None:
    refresh(
        Lists([Contact("a", {"x": 1, "y": [1]}), Contact("b", {"y": [1], "x": 1})]), layout, NOON
    )
    first, second = rows(layout).values()
    assert first["attributes"] == second["attributes"]


def test_a_name_that_is_cut_in_half_costs_no_other_contact(layout: Layout) -> None:
    refresh(Lists(["a", Contact("b", {"name": "cut \ud83d"}), "c"]), layout, NOON)
    assert current(layout) == ["a", "b", "c"]


@pytest.mark.parametrize("attributes", [{"at": datetime(2024, 1, 1)}, {"raw": b"x"}, {"s": {1}}])
def test_attributes_that_json_does_not_have_are_kept_as_text(
    layout: Layout, attributes: dict[str, Any]
) -> None:
    refresh(Lists([Contact("a", attributes)]), layout, NOON)
    assert json.loads(rows(layout)["a"]["attributes"])


def test_before_anything_was_listed_nobody_is_known(layout: Layout) -> None:
    assert current(layout) == []


def test_an_empty_list_is_a_list(layout: Layout) -> None:
    assert refresh(Lists([]), layout, NOON) == Listed(0, 0, 2, passes_agree=True)
    assert current(layout) == []


def test_an_empty_list_after_another_lists_nobody(layout: Layout) -> None:
    refresh(Lists(["a"]), layout, run_moment(0))
    refresh(Lists([]), layout, run_moment(1))
    assert current(layout) == []


def test_what_an_activity_listing_found_is_kept_as_a_list(layout: Layout) -> None:
    contact_list.add_discovered(layout, {"b", "a"}, NOON)
    assert current(layout) == ["a", "b"]


def test_what_a_list_has_told_of_a_contact_stays_when_its_activity_is_seen(layout: Layout) -> None:
    spool = contact_list.ContactSpool(layout)
    spool.add_pass([[Contact("a", {"name": "A"}), Contact("c", {"name": "C"})]])
    spool.keep(run_moment(0))
    spool.close()
    contact_list.add_discovered(layout, {"a", "b"}, run_moment(1))
    assert current(layout) == ["a", "b"]
    told = {
        row["contact_id"]: row["attributes"] for row in pq.read_table(layout.contacts).to_pylist()
    }
    assert told == {"a": '{"name": "A"}', "b": None, "c": '{"name": "C"}'}


def test_a_list_and_those_who_were_discovered_beside_it_are_one_list(layout: Layout) -> None:
    listed = refresh(Lists(["a", "b"]), layout, NOON, also={"b", "z"})
    assert listed.contacts == 3
    assert current(layout) == ["a", "b", "z"]


def test_many_who_were_discovered_are_kept_batch_by_batch(layout: Layout) -> None:
    ids = {f"{n:06d}" for n in range(12_345)}
    assert contact_list.add_discovered(layout, ids, NOON).contacts == len(ids)
    assert current(layout) == sorted(ids)
