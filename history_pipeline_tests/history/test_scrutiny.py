"""No answer that the server cut is taken for whole; on virtual time, with a server that cuts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from history_pipeline.errors import DeadlineExceeded
from history_pipeline.gws.client import Answer, Inquiry
from history_pipeline.history.parting import Part
from history_pipeline.history.scrutiny import Scrutiny
from history_pipeline.model import TRUNCATED, RequestState, Source
from history_pipeline.storage import parts
from history_pipeline_tests.history.cutting_server import Cell, CuttingServer
from history_pipeline_tests.history.test_collect import BOTH, Run, contacts

MAIN, ARCHIVE = Source.MAIN, Source.ARCHIVE
ANSWERED, FAILED = RequestState.ANSWERED, RequestState.FAILED
OVER_THE_MONTH = {
    (date(2015, 10, day), kind): 1 for day in range(1, 31) for kind in ("call", "chat")
}


@dataclass
class CuttingAsker:
    """A server for each contact and source; all of them cut at `cap`."""

    held: dict[tuple[str, Source], dict[Cell, int]]
    cap: int | None = None
    includes_to_date: bool = True
    silent_from: dict[tuple[str, Source], int] = field(default_factory=dict)
    """From which of its questions on nothing comes for a contact and source."""
    servers: dict[tuple[str, Source], CuttingServer] = field(default_factory=dict)
    asked: list[tuple[str, Source]] = field(default_factory=list)
    asking: Counter[tuple[str, Source]] = field(default_factory=Counter)
    together: int = 0
    """For how many contacts and sources at once something was asked."""

    async def attempt(self, inquiry: Inquiry) -> Answer:
        await asyncio.sleep(0.1)
        body: dict[str, Any] = json.loads(inquiry.body)
        key = inquiry.path.split("/")[-2], Source(body["source"])
        self.asked.append(key)
        if self.asked.count(key) >= self.silent_from.get(key, 1 << 30):
            raise DeadlineExceeded("silence")
        if key not in self.servers:
            held = self.held.get(key, {})
            self.servers[key] = CuttingServer(
                held, self.cap, self.includes_to_date, contact_id=key[0]
            )
        days = date.fromisoformat(body["fromDate"]), date.fromisoformat(body["toDate"])
        part = Part(*days, body.get("mediaType"), body["sort"] == "desc")
        self.asking[key] += 1
        self.together = max(self.together, len(+self.asking))
        answer = await self.servers[key].ask(part)
        self.asking[key] -= 1
        return answer

    def forget(self, inquiry: Inquiry) -> None: ...

    def everything(self) -> Counter[str]:
        return Counter(each for server in self.servers.values() for each in server.everything())


def landed(run: Run) -> set[str]:
    return set(run.interactions())


def answers_of(*lengths: int) -> dict[tuple[str, Source], dict[Cell, int]]:
    """Main answers of these lengths, for contacts in turn: a day has two."""
    days = list(OVER_THE_MONTH)
    held = {}
    for name, length in zip(contacts(len(lengths)), lengths, strict=True):
        cells = dict.fromkeys(days[: min(length, len(days))], 1)
        if length > len(cells):
            cells[days[0]] += length - len(cells)
        held[name, MAIN] = cells
    return held


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "parts", sources=(MAIN,))


@pytest.mark.parametrize("includes_to_date", [True, False])
@pytest.mark.parametrize("cap", [50, 100])
def test_a_round_limit_is_seen_at_the_first_answer(
    run: Run, cap: int, includes_to_date: bool
) -> None:
    held = dict.fromkeys(OVER_THE_MONTH, 4)
    run.asker = CuttingAsker({("c0000", MAIN): held}, cap, includes_to_date)
    run.collect(contacts(3))
    assert len(landed(run)) == sum(held.values())
    assert run.row("c0000")["state"] == "answered"
    assert run.row("c0000")["interactions"] == sum(held.values())
    assert run.scrutiny.findings.parted == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_any_other_limit_is_seen_when_it_comes_again_and_the_first_is_asked_again(
    run: Run, concurrency: int
) -> None:
    run.concurrency = concurrency
    run.asker = CuttingAsker(answers_of(58, 12, 60, 3, 57), 37)
    run.collect(contacts(5))
    assert len(landed(run)) == 58 + 12 + 60 + 3 + 57
    assert {row["state"] for row in run.ledger()} == {"answered"}


def test_archive_is_asked_again_after_a_main_that_was_cut(run: Run) -> None:
    run.sources, run.concurrency = BOTH, 1
    run.asker = CuttingAsker(answers_of(58, 60), 37)
    run.collect(contacts(2))
    assert len(landed(run)) == 58 + 60
    order = {key: place for place, key in enumerate(run.asker.asked)}
    for name in contacts(2):
        assert run.asker.asked.count((name, ARCHIVE)) == 2
        assert order[name, ARCHIVE] > order[name, MAIN]


def test_where_parts_cannot_prove_it_the_request_has_failed_and_what_came_lands(run: Run) -> None:
    run.sources = BOTH
    held = {(date(2015, 10, 3), "call"): 130, (date(2015, 10, 9), "chat"): 2}
    run.asker = CuttingAsker({("c0000", MAIN): held, ("c0000", ARCHIVE): {}}, 100)
    account = run.collect(contacts(2))
    row = run.row("c0000")
    assert (row["state"], row["error"]) == ("failed", TRUNCATED)
    assert row["interactions"] == len(landed(run)) >= 102
    assert run.row("c0000", ARCHIVE)["state"] == "answered", "main did answer, so archive is asked"
    assert account.states == {ANSWERED: 3, FAILED: 1}


def test_who_was_taken_for_answered_and_is_cut_beyond_proof_has_failed(run: Run) -> None:
    run.concurrency = 1
    first = {(date(2015, 10, 3), "call"): 45}
    run.asker = CuttingAsker({("c0000", MAIN): first, **{("c0001", MAIN): OVER_THE_MONTH}}, 37)
    run.collect(contacts(2))
    settled = {row["contact_id"]: row["state"] for row in parts.settled(run.directory).to_pylist()}
    assert settled == {"c0000": "failed", "c0001": "answered"}
    assert {row["state"] for row in run.ledger() if row["contact_id"] == "c0001"} == {"answered"}


def test_who_was_taken_for_answered_and_cannot_be_asked_again_has_failed(run: Run) -> None:
    run.concurrency, run.max_attempts = 1, 1
    run.asker = CuttingAsker(answers_of(58, 60, 57), 37, silent_from={("c0000", MAIN): 2})
    run.collect(contacts(3))
    settled = {row["contact_id"]: row["state"] for row in parts.settled(run.directory).to_pylist()}
    assert settled == {"c0000": "failed", "c0001": "answered", "c0002": "answered"}
    assert {row["error"] for row in run.ledger() if row["state"] == "failed"} == {TRUNCATED}


def test_a_killed_try_remembers_whose_answers_were_the_longest(tmp_path: Path) -> None:
    asker = CuttingAsker(answers_of(58, 60), 37)
    Run(tmp_path / "parts", asker, sources=(MAIN,)).collect(contacts(1))
    again = Run(tmp_path / "parts", asker, sources=(MAIN,))
    again.collect(contacts(2))
    assert len(landed(again)) == 58 + 60


def test_what_moves_away_between_the_whole_and_its_parts_is_no_gap(run: Run) -> None:
    held = dict.fromkeys(OVER_THE_MONTH, 2)
    asker = CuttingAsker({("c0000", MAIN): held}, 100)
    some = min(CuttingServer(held).everything())
    asker.servers["c0000", MAIN] = CuttingServer(held, 100, moved=frozenset({some}))
    run.asker = asker
    run.collect(contacts(1))
    assert run.row("c0000")["state"] == "answered"
    assert some in landed(run)


def test_two_of_a_length_are_believed_once_a_longer_one_comes(run: Run) -> None:
    run.asker = CuttingAsker(answers_of(18, 18, 19, 12, 12))
    run.collect(contacts(5))
    assert len(run.asker.asked) == 5


def test_equal_lengths_that_are_whole_are_soon_believed(run: Run) -> None:
    run.concurrency = 1
    run.asker = CuttingAsker(answers_of(*[40] * 30))
    run.collect(contacts(30))
    assert len(landed(run)) == 30 * 40
    assert len(run.asker.asked) == 30 + 3 * 2
    assert run.scrutiny.findings.parted == 3


def test_the_longest_answer_of_a_window_is_audited(run: Run) -> None:
    run.scrutiny = Scrutiny(0.1, "run")
    run.asker = CuttingAsker(answers_of(58, *[5] * 39), 37)
    run.collect(contacts(40))
    assert len(landed(run)) == 58 + 39 * 5
    assert run.scrutiny.findings.audited >= 1


def test_the_longest_answers_of_both_sources_are_audited_at_the_same_time(tmp_path: Path) -> None:
    run = Run(tmp_path / "parts", sources=BOTH)
    run.concurrency = 1
    run.scrutiny = Scrutiny(0.1, "run")
    main = answers_of(58, *[5] * 39)
    archive = answers_of(5, 59, *[5] * 38)
    run.asker = CuttingAsker(main | {(name, ARCHIVE): held for (name, _), held in archive.items()})
    account = run.collect(contacts(40))
    assert account.states == {ANSWERED: 80}
    assert run.asker.together == 2


def test_a_limit_seen_too_late_for_an_earlier_window_is_told(run: Run, tmp_path: Path) -> None:
    run.asker = CuttingAsker(answers_of(58))
    run.asker.cap = 37
    run.collect(contacts(1))
    later = Run(tmp_path / "later", CuttingAsker(answers_of(60), 37), sources=(MAIN,))
    later.scrutiny = run.scrutiny
    later.collect(contacts(1))
    (warning,) = run.scrutiny.findings.warnings
    assert "37 records" in warning


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_an_audit_finds_a_limit_that_nothing_else_shows(run: Run, seed: str) -> None:
    """Each contact is cut at a length of its own, which no rule can suspect."""
    names = contacts(60)
    run.asker = CuttingAsker(answers_of(*range(31, 91)))
    for number, name in enumerate(names):
        held = run.asker.held[name, MAIN]
        run.asker.servers[name, MAIN] = CuttingServer(held, 90 - number, contact_id=name)
    run.scrutiny = Scrutiny(0.5, seed)
    account = run.collect(names)
    assert account.findings.audited > 5
    assert account.findings.disagreed > 0


def test_audits_of_a_server_that_does_not_cut_agree(run: Run) -> None:
    run.asker = CuttingAsker(answers_of(*[n % 40 for n in range(100)]))
    run.scrutiny = Scrutiny(0.3, "run")
    account = run.collect(contacts(100))
    assert 15 <= account.findings.audited <= 30
    assert account.findings.disagreed == 0


def test_without_a_share_nothing_is_audited(run: Run) -> None:
    run.asker = CuttingAsker(answers_of(*range(20)))
    run.collect(contacts(20))
    assert len(run.asker.asked) == 20
