"""Every planned request ends, once, in the state that the rules give it; on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history_pipeline.errors import (
    AnswerFailed,
    ContactUnknown,
    DeadlineExceeded,
    EpochLost,
    RequestRefused,
    ServerFault,
    ServerSilent,
    ServerUnusable,
    SessionLost,
    StorageError,
    Throttled,
    Unreachable,
)
from history_pipeline.gws.insisting import PATIENCE
from history_pipeline.gws.wire import Filter
from history_pipeline.history.account import Account
from history_pipeline.history.collect import Collector, Task
from history_pipeline.history.flatten import Flattener
from history_pipeline.history.recording import FLUSH_ROWS, FLUSH_SECONDS, STRETCH, Recorder
from history_pipeline.history.scrutiny import Scrutiny
from history_pipeline.history.verdicts import Verdicts
from history_pipeline.model import HistoryRequest, Outcome, RequestState, Source
from history_pipeline.storage import parts
from history_pipeline_tests import virtual_time
from history_pipeline_tests.history.answers import RUN_AT, WINDOW, record
from history_pipeline_tests.history.scripted_asker import ScriptedAsker, Turn

MAIN, ARCHIVE = Source.MAIN, Source.ARCHIVE
BOTH = (MAIN, ARCHIVE)
ANSWERED, FAILED = RequestState.ANSWERED, RequestState.FAILED
GONE, UNAVAILABLE = RequestState.GONE, RequestState.UNAVAILABLE
START = datetime(2024, 1, 1, tzinfo=UTC)

Meanwhile = Callable[[Path, "asyncio.Task[Account]"], Awaitable[None]]


def contacts(count: int) -> list[str]:
    return [f"c{n:04d}" for n in range(count)]


@dataclass
class Run:
    """One try at a window, and what it left behind."""

    directory: Path
    asker: Any = field(default_factory=ScriptedAsker)
    sources: tuple[Source, ...] = BOTH
    concurrency: int = 4
    max_attempts: int = 3
    outcomes: list[Outcome] = field(default_factory=list)
    verdicts: Verdicts = field(default_factory=Verdicts)
    exempt: set[tuple[str, Source]] = field(default_factory=set)
    scrutiny: Scrutiny = field(default_factory=Scrutiny)

    def collect(self, ids: list[str], meanwhile: Meanwhile | None = None) -> Account:
        async def whole() -> Account:
            collecting = asyncio.create_task(self._collect(ids))
            if meanwhile is not None:
                await meanwhile(self.directory, collecting)
            return await collecting

        return virtual_time.run(whole())

    async def _collect(self, ids: list[str]) -> Account:
        loop = asyncio.get_running_loop()

        def now() -> datetime:
            return START + timedelta(seconds=loop.time())

        recorder = Recorder(
            self.directory, Flattener(ZoneInfo("Europe/Berlin")), run_at=RUN_AT, asked=(), now=now
        )
        task = Task(WINDOW, self.sources, Filter(), self.concurrency, self.max_attempts)
        async with recorder:
            collector = Collector(
                self.asker,
                recorder,
                self.verdicts,
                task,
                now,
                self.outcomes.append,
                self.scrutiny,
            )
            return await collector.collect(
                pa.array(ids, pa.string()),
                parts.settled(self.directory),
                self._exempt(),
                [
                    (Source(row["source"]), row["contact_id"], row["received"])
                    for row in parts.taken(self.directory).to_pylist()
                ],
            )

    def _exempt(self) -> pa.Table:
        rows = [(contact_id, source.value) for contact_id, source in sorted(self.exempt)]
        names = {"contact_id": pa.string(), "source": pa.string()}
        columns = list(zip(*rows, strict=True)) or [[], []]
        return pa.table(columns, schema=pa.schema(list(names.items())))

    # -- what is on disk ----------------------------------------------------------------------

    def ledger(self) -> list[dict[str, Any]]:
        return _rows(self.directory, parts.LEDGER_FILE)

    def interactions(self) -> list[str]:
        return [row["interaction_id"] for row in _rows(self.directory, parts.OBSERVATIONS_FILE)]

    def states(self) -> dict[tuple[str, Source], RequestState]:
        """Fails where a request was put down twice."""
        rows = self.ledger()
        found = {
            (row["contact_id"], Source(row["source"])): RequestState(row["state"]) for row in rows
        }
        assert len(found) == len(rows)
        return found

    def row(self, contact_id: str, source: Source = MAIN) -> dict[str, Any]:
        (row,) = [
            row
            for row in self.ledger()
            if (row["contact_id"], row["source"]) == (contact_id, source.value)
        ]
        return row


def _rows(directory: Path, name: str) -> list[dict[str, Any]]:
    return [
        row
        for part in parts.whole(directory)
        if (part / name).exists()
        for row in pq.read_table(part / name).to_pylist()
    ]


def planned(ids: list[str], sources: tuple[Source, ...] = BOTH) -> set[tuple[str, Source]]:
    return {(contact_id, source) for contact_id in ids for source in sources}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "parts")


# -- all is well ----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 3, 1001])
def test_all_planned_requests_settle_exactly_once(run: Run, count: int) -> None:
    account = run.collect(contacts(count))
    assert run.states() == dict.fromkeys(planned(contacts(count)), ANSWERED)
    assert account.planned == 2 * count
    assert account.states[ANSWERED] == 2 * count
    assert sorted(run.interactions()) == sorted(
        f"{contact_id} {source.value}" for contact_id, source in planned(contacts(count))
    )


def test_what_is_exempt_is_not_asked_and_archive_is_asked_all_the_same(run: Run) -> None:
    run.exempt = {(name, MAIN) for name in contacts(30)[::2]}
    account = run.collect(contacts(30))
    left = planned(contacts(30)) - run.exempt
    assert run.states() == dict.fromkeys(left, ANSWERED)
    assert account.planned == account.states[ANSWERED] == 45


def test_what_is_exempt_stays_so_when_a_killed_try_is_gone_on_with(run: Run) -> None:
    run.exempt = {(name, MAIN) for name in contacts(10)}
    run.collect(contacts(4))
    account = run.collect(contacts(10))
    assert run.states() == dict.fromkeys(planned(contacts(10), (ARCHIVE,)), ANSWERED)
    assert account.states[ANSWERED] == account.planned == 10


def test_archive_is_asked_only_after_main_has_answered(run: Run) -> None:
    run.asker.turns.update({(name, MAIN): [0.5 * n] for n, name in enumerate(contacts(30))})
    run.collect(contacts(30))
    main = {each.contact_id: each.at for each in run.asker.answered if each.source is MAIN}
    for each in run.asker.asked:
        if each.source is ARCHIVE:
            assert each.at >= main[each.contact_id]


@pytest.mark.parametrize("concurrency", [1, 4, 50])
def test_no_more_are_in_flight_than_configured(run: Run, concurrency: int) -> None:
    run.concurrency = concurrency
    run.collect(contacts(60))
    assert run.asker.most_in_flight == concurrency


@pytest.mark.parametrize("source", BOTH)
def test_a_single_source_is_asked_alone(run: Run, source: Source) -> None:
    run.sources = (source,)
    run.collect(contacts(3))
    assert set(run.states()) == planned(contacts(3), (source,))


def test_an_empty_answer_is_an_answer(run: Run) -> None:
    run.asker.usual = lambda contact_id, source: []
    run.collect(contacts(3))
    assert set(run.states().values()) == {ANSWERED}
    assert run.row("c0000")["interactions"] == 0


def test_records_are_counted_as_they_landed(run: Run) -> None:
    run.asker.turns["c0000", MAIN] = [
        [record("a"), None, record(""), record("b"), record(startDate="2020-01-01 00:00:00+00:00")]
    ]
    account = run.collect(contacts(1))
    row = run.row("c0000")
    assert (row["interactions"], row["rejects"]) == (2, 2)
    assert (account.interactions, account.rejects) == (3, 2)


def test_every_question_is_forgotten_once_it_has_ended(run: Run) -> None:
    run.asker.turns["c0001", MAIN] = [DeadlineExceeded("")] * 3
    run.collect(contacts(3))
    assert run.asker.forgotten == len(set(run.asker.questions()))


# -- attempts -------------------------------------------------------------------------------------

SPENT = [DeadlineExceeded("late"), AnswerFailed("errorMessage"), ServerFault("HTTP 500")]
INTERRUPTIONS = [EpochLost(""), SessionLost("HTTP 403"), Unreachable(""), Throttled(503, 1.0)]


@pytest.mark.parametrize("exc", SPENT, ids=lambda exc: type(exc).__name__)
@pytest.mark.parametrize("failing", [1, 2])
def test_a_spent_attempt_is_followed_by_another(run: Run, exc: Exception, failing: int) -> None:
    run.asker.turns["c0000", MAIN] = [exc] * failing
    account = run.collect(contacts(1))
    row = run.row("c0000")
    assert (row["state"], row["attempts"], row["error"]) == ("answered", failing + 1, None)
    assert account.retries == failing


@pytest.mark.parametrize("exc", SPENT, ids=lambda exc: type(exc).__name__)
def test_the_last_spent_attempt_is_a_failure_with_its_reason(run: Run, exc: Exception) -> None:
    run.asker.turns["c0000", MAIN] = [exc] * 3
    run.collect(contacts(2))
    row = run.row("c0000")
    assert (row["state"], row["attempts"]) == ("failed", 3)
    assert row["error"]
    assert run.asker.questions().count(("c0000", MAIN)) == 3
    assert run.states()["c0001", MAIN] is ANSWERED


@pytest.mark.parametrize("exc", [RequestRefused("status code 1"), ContactUnknown("HTTP 404")])
def test_what_asking_again_cannot_mend_is_asked_once(run: Run, exc: Exception) -> None:
    run.asker.turns["c0001", MAIN] = [exc]
    run.collect(contacts(3))
    assert run.asker.questions().count(("c0001", MAIN)) == 1
    assert run.states()["c0001", MAIN] is (GONE if isinstance(exc, ContactUnknown) else FAILED)


@pytest.mark.parametrize("exc", INTERRUPTIONS, ids=lambda exc: type(exc).__name__)
def test_an_interruption_spends_no_attempt(run: Run, exc: Exception) -> None:
    run.asker.turns["c0000", MAIN] = [exc] * 20
    run.collect(contacts(1))
    assert (run.row("c0000")["state"], run.row("c0000")["attempts"]) == ("answered", 1)


def test_interruptions_between_spent_attempts_are_not_counted(run: Run) -> None:
    run.asker.turns["c0000", MAIN] = [
        EpochLost(""), DeadlineExceeded(""), EpochLost(""), Throttled(429, None),
        ServerFault("HTTP 502"), SessionLost("HTTP 401"),
    ]  # fmt: skip
    run.collect(contacts(1))
    assert run.row("c0000")["attempts"] == 3


@pytest.mark.parametrize("exc", INTERRUPTIONS, ids=lambda exc: type(exc).__name__)
def test_interruptions_without_end_end_the_run(run: Run, exc: Exception) -> None:
    class Endless(ScriptedAsker):
        pass

    run.asker = Endless(usual=lambda contact_id, source: exc, latency=1.0)
    ended: list[float] = []

    async def note(directory: Path, collecting: asyncio.Task[Account]) -> None:
        await asyncio.wait({collecting})
        ended.append(asyncio.get_running_loop().time())

    with pytest.raises(ServerSilent):
        run.collect(contacts(50), note)
    assert PATIENCE <= ended[0] < PATIENCE + 60
    assert run.ledger() == []


def test_an_error_gets_the_server_a_growing_rest_and_a_deadline_none(run: Run) -> None:
    run.max_attempts = 5
    run.sources = (MAIN,)
    run.asker.turns["c0000", MAIN] = [ServerFault("HTTP 500")] * 4
    run.collect(contacts(1))
    at = [each.at for each in run.asker.asked]
    gaps = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert gaps == sorted(gaps)
    assert gaps[0] > 0.2
    run.asker = ScriptedAsker(turns={("c9", MAIN): [DeadlineExceeded("")]})
    run.collect(["c9"])
    first, second = (each.at for each in run.asker.asked)
    assert second - first == pytest.approx(run.asker.latency)


def test_the_reason_never_quotes_the_server(run: Run) -> None:
    run.asker.turns["c0000", MAIN] = [AnswerFailed("a customer's words")] * 3
    run.asker.turns["c0001", MAIN] = [DeadlineExceeded("x"), ContactUnknown("a customer's words")]
    run.collect(contacts(3))
    assert "words" not in str(run.ledger())


def test_seconds_run_from_the_first_sending_to_the_end(run: Run) -> None:
    run.sources = (MAIN,)
    run.asker.turns["c0000", MAIN] = [DeadlineExceeded(""), 3.0, [record()]]
    run.collect(contacts(1))
    assert run.row("c0000")["seconds"] == pytest.approx(3.2)


# -- main and archive -----------------------------------------------------------------------------


@pytest.mark.parametrize("exc", [*SPENT, RequestRefused("x")], ids=lambda exc: type(exc).__name__)
def test_where_main_has_no_answer_archive_is_not_asked_and_fails_too(
    run: Run, exc: Exception
) -> None:
    run.asker.turns["c0001", MAIN] = [exc] * 3
    run.collect(contacts(3))
    assert ("c0001", ARCHIVE) not in run.asker.questions()
    assert run.states()["c0001", ARCHIVE] is FAILED
    assert run.row("c0001", ARCHIVE)["attempts"] == 0


def test_a_gone_contact_is_gone_in_both_sources(run: Run) -> None:
    run.asker.turns["c0001", MAIN] = [ContactUnknown("HTTP 404")]
    run.collect(contacts(3))
    assert ("c0001", ARCHIVE) not in run.asker.questions()
    assert run.states()["c0001", MAIN] is run.states()["c0001", ARCHIVE] is GONE


def test_a_missing_archive_is_told_from_five_contacts_and_asked_no_more(run: Run) -> None:
    def usual(contact_id: str, source: Source) -> Turn:
        return AnswerFailed("") if source is ARCHIVE else [record(contact_id)]

    run.asker.usual = usual
    account = run.collect(contacts(200))
    assert account.states == {ANSWERED: 200, UNAVAILABLE: 200}
    asked = {key for key in run.asker.questions() if key[1] is ARCHIVE}
    assert 5 <= len(asked) < 5 + 2 * run.concurrency
    assert {row["error"] for row in run.ledger() if row["source"] == "archive"} == {
        "source unavailable"
    }


def test_one_error_does_not_condemn_an_archive_that_failed_others_in_other_ways(run: Run) -> None:
    """What is left of an earlier run: archives of contacts whose main was answered then."""
    run.exempt = {(name, MAIN) for name in contacts(4)[1:]}
    run.asker.usual = lambda contact_id, source: (
        DeadlineExceeded("") if source is ARCHIVE else [record(contact_id)]
    )
    run.asker.turns["c0003", ARCHIVE] = [AnswerFailed("")] * 3
    account = run.collect(contacts(4))
    assert account.states == {ANSWERED: 1, FAILED: 4}


def test_an_archive_that_fails_for_some_is_there(run: Run) -> None:
    for contact_id in contacts(200)[::2]:
        run.asker.turns[contact_id, ARCHIVE] = [AnswerFailed("")] * 3
    account = run.collect(contacts(200))
    assert account.states == {ANSWERED: 300, FAILED: 100}


def test_an_archive_that_does_not_answer_at_all_is_not_unavailable(run: Run) -> None:
    def usual(contact_id: str, source: Source) -> Turn:
        return DeadlineExceeded("") if source is ARCHIVE else [record(contact_id)]

    run.asker.usual = usual
    account = run.collect(contacts(30))
    assert account.states == {ANSWERED: 30, FAILED: 30}


def test_what_is_in_flight_when_the_archive_is_condemned_is_unavailable_too(run: Run) -> None:
    def usual(contact_id: str, source: Source) -> Turn:
        return AnswerFailed("") if source is ARCHIVE else [record(contact_id)]

    run.asker.usual = usual
    run.asker.turns["c0005", ARCHIVE] = [5.0, ServerFault("HTTP 500")]
    run.concurrency = 10
    account = run.collect(contacts(10))
    assert account.states == {ANSWERED: 10, UNAVAILABLE: 10}


def test_a_list_of_which_the_first_twenty_are_unknown_ends_the_run(run: Run) -> None:
    run.asker.usual = lambda contact_id, source: ContactUnknown("HTTP 404")
    with pytest.raises(ServerUnusable, match="not customers' ids"):
        run.collect(contacts(500))
    assert len(run.asker.asked) < 20 + 2 * run.concurrency
    assert run.ledger() == []


def test_some_unknown_contacts_at_the_start_are_gone_once_one_is_known(run: Run) -> None:
    for contact_id in contacts(15):
        run.asker.turns[contact_id, MAIN] = [ContactUnknown("HTTP 404")]
    account = run.collect(contacts(40))
    assert account.states == {ANSWERED: 50, GONE: 30}
    assert set(run.states()) == planned(contacts(40))


def test_a_contact_that_is_unknown_has_one_fate_in_both_sources(run: Run) -> None:
    """Twenty are unknown before anybody was answered, but one of the first only was slow."""
    run.concurrency = 2
    run.asker.turns["c0000", MAIN] = [60.0, ServerFault("HTTP 500"), 1.0]
    run.max_attempts = 2
    for contact_id in contacts(26)[1:25]:
        run.asker.turns[contact_id, MAIN] = [ContactUnknown("HTTP 404")]
    run.asker.turns["c0001", MAIN] = [RequestRefused("status code 1")]
    run.collect(contacts(40))
    found = run.states()
    for contact_id in contacts(40):
        assert (found[contact_id, MAIN] is ANSWERED) == (found[contact_id, ARCHIVE] is ANSWERED)
        assert (found[contact_id, MAIN] is GONE) == (found[contact_id, ARCHIVE] is GONE)


# -- ends -----------------------------------------------------------------------------------------


def test_the_server_being_unusable_ends_the_run_and_keeps_what_was_answered(run: Run) -> None:
    run.asker.turns["c0030", MAIN] = [ServerSilent("mute")]
    with pytest.raises(ServerSilent, match="mute"):
        run.collect(contacts(500))
    kept = run.states()
    assert set(kept.values()) == {ANSWERED}
    assert {(each.contact_id, each.source) for each in run.asker.answered} == set(kept)


def test_a_part_that_cannot_be_stored_ends_the_run(run: Run) -> None:
    run.directory.parent.mkdir(exist_ok=True)
    run.directory.write_text("a file where the parts belong")
    run.asker.latency = 1.0

    async def nothing() -> Account:
        task = Task(WINDOW, BOTH, Filter(), 4, 3)
        recorder = Recorder(
            run.directory / "x", Flattener(ZoneInfo("UTC")), run_at=RUN_AT, asked=(),
            now=lambda: START,
        )  # fmt: skip
        async with recorder:
            collector = Collector(run.asker, recorder, Verdicts(), task, lambda: START)
            return await collector.collect(
                pa.array(contacts(500)), parts.settled(run.directory / "y")
            )

    with pytest.raises(StorageError):
        virtual_time.run(nothing())
    assert len(run.asker.asked) < 100


def test_a_fault_of_our_own_is_not_swallowed(run: Run) -> None:
    run.asker.turns["c0003", MAIN] = [RuntimeError("a bug")]
    with pytest.raises(RuntimeError, match="a bug"):
        run.collect(contacts(500))


# -- parts ----------------------------------------------------------------------------------------


def test_an_answer_and_its_outcome_are_in_the_same_part(run: Run) -> None:
    run.asker.latency = 0.7
    run.collect(contacts(60))
    assert len(parts.whole(run.directory)) > 5
    for part in parts.whole(run.directory):
        ledger = pq.read_table(part / parts.LEDGER_FILE).to_pylist()
        rows = pq.read_table(part / parts.OBSERVATIONS_FILE).to_pylist()
        assert {row["interaction_id"] for row in rows} == {
            f"{row['contact_id']} {row['source']}" for row in ledger
        }


def test_an_answer_larger_than_a_stretch_is_in_one_part(run: Run) -> None:
    many = [record(f"i{n}", subject="x" * 1_000) for n in range(2 * STRETCH // 1_000)]
    run.sources = (MAIN,)
    run.asker.turns["c0002", MAIN] = [many]
    account = run.collect(contacts(12))
    assert run.row("c0002")["interactions"] == len(many)
    assert account.interactions == len(many) + 11
    counted = Counter(
        part.name
        for part in parts.whole(run.directory)
        for row in pq.read_table(part / parts.OBSERVATIONS_FILE)["requested_contact_id"].to_pylist()
        if row == "c0002"
    )
    assert list(counted.values()) == [len(many)]


def test_what_waits_in_memory_is_bounded(run: Run) -> None:
    """Answers that come faster than they can be written wait for room."""
    run.sources = (MAIN,)
    run.asker.latency = 0.0
    some = 2_001
    # one less each time: an answer as long as the longest before it would be asked for in parts
    run.asker.usual = lambda contact_id, source: [
        record(f"{contact_id} {n}") for n in range(some - int(contact_id[1:]))
    ]
    run.collect(contacts(32))
    sizes = [
        pq.read_metadata(part / parts.OBSERVATIONS_FILE).num_rows
        for part in parts.whole(run.directory)
    ]
    assert sum(sizes) == 32 * some - sum(range(32))
    assert max(sizes) <= FLUSH_ROWS + (run.concurrency + 1) * some + STRETCH // 70


def test_who_waits_for_room_begins_no_part_of_its_own(run: Run) -> None:
    """Two find the part full while the one before it has just been written."""
    request = HistoryRequest("c0000", WINDOW, MAIN)
    outcome = Outcome(request, RequestState.FAILED, START, 1, 0.0, "HTTP 500")

    async def parts_begun() -> int:
        recorder = Recorder(
            run.directory, Flattener(ZoneInfo("UTC")), run_at=RUN_AT, asked=(), now=lambda: START
        )
        async with recorder:
            for _ in range(2):
                for _ in range(FLUSH_ROWS):
                    recorder.settle(outcome)
                rooms = asyncio.gather(recorder.room(), recorder.room())
                for _ in range(5):  # no time passes, so the part is still being written
                    await asyncio.sleep(0)
                recorder.settle(outcome)
                await rooms
                await asyncio.sleep(0.01)
            return len(parts.whole(run.directory))

    assert virtual_time.run(parts_begun()) == 2


def test_what_is_put_down_is_on_the_disk_in_time(run: Run) -> None:
    """However little it is, nothing waits longer than for the next part."""
    request = HistoryRequest("c0000", WINDOW, MAIN)
    outcome = Outcome(request, RequestState.FAILED, START, 1, 0.0, "HTTP 500")
    pause = 0.1

    async def longest_wait() -> float:
        recorder = Recorder(
            run.directory, Flattener(ZoneInfo("UTC")), run_at=RUN_AT, asked=(), now=lambda: START
        )
        waits = []
        async with recorder:
            for put_down in range(1, 101):
                recorder.settle(outcome)
                await asyncio.sleep(pause)
                ledgers = [part / parts.LEDGER_FILE for part in parts.whole(run.directory)]
                on_disk = sum(pq.read_metadata(ledger).num_rows for ledger in ledgers)
                waits.append((put_down - on_disk) * pause)
        return max(waits)

    assert virtual_time.run(longest_wait()) <= FLUSH_SECONDS + pause


# -- killed and resumed ---------------------------------------------------------------------------


def after(seconds: float, act: Callable[[Path, asyncio.Task[Account]], None]) -> Meanwhile:
    async def meanwhile(directory: Path, collecting: asyncio.Task[Account]) -> None:
        await asyncio.sleep(seconds)
        act(directory, collecting)

    return meanwhile


def _cancel(directory: Path, collecting: asyncio.Task[Account]) -> None:
    collecting.cancel()


def stormy(ids: list[str]) -> ScriptedAsker:
    """A bit of everything."""
    asker = ScriptedAsker(latency=0.15)
    for n, contact_id in enumerate(ids):
        if n % 7 == 1:
            asker.turns[contact_id, MAIN] = [DeadlineExceeded(""), [record(f"{contact_id} main")]]
        if n % 11 == 3:
            asker.turns[contact_id, MAIN] = [ContactUnknown("")]
        if n % 13 == 5:
            asker.turns[contact_id, MAIN] = [ServerFault("HTTP 500")] * 3
        if n % 5 == 2:
            asker.turns[contact_id, ARCHIVE] = [AnswerFailed("")] * 3
        if n % 17 == 4:
            asker.turns[contact_id, MAIN] = [EpochLost(""), 2.0, [record(f"{contact_id} main")]]
    return asker


def expected_states(tmp_path: Path, ids: list[str]) -> dict[tuple[str, Source], RequestState]:
    undisturbed = Run(tmp_path / "undisturbed", stormy(ids))
    undisturbed.collect(ids)
    return undisturbed.states()


KILLS = st.lists(st.floats(0.0, 9.0), min_size=1, max_size=3)


@settings(max_examples=6, deadline=None)
@given(KILLS)
def test_stopped_at_any_moment_and_resumed_nothing_is_asked_twice_that_is_in_a_part(
    tmp_path_factory: pytest.TempPathFactory, moments: list[float]
) -> None:
    """SIGTERM: what was settled is put down before the process goes."""
    home = tmp_path_factory.mktemp("stopped")
    ids = contacts(40)
    for seconds in moments:
        run = Run(home / "parts", stormy(ids))
        before = set(run.states())
        with contextlib.suppress(asyncio.CancelledError):
            run.collect(ids, after(seconds, _cancel))
        assert not before & set(run.asker.questions())
        answered = {(each.contact_id, each.source) for each in run.asker.answered}
        assert answered <= set(run.states())
    last = Run(home / "parts", stormy(ids))
    before = set(last.states())
    account = last.collect(ids)
    assert not before & set(last.asker.questions())
    assert last.states() == expected_states(home, ids)
    assert account.states == Counter(last.states().values())
    assert len(set(last.interactions())) == len(last.interactions())


@settings(max_examples=6, deadline=None)
@given(KILLS)
def test_killed_at_any_moment_and_resumed_the_result_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, moments: list[float]
) -> None:
    """SIGKILL: the disk is as it was at that moment, and nothing was tidied up."""
    home = tmp_path_factory.mktemp("killed")
    ids = contacts(40)
    current = home / "parts-0"
    for n, seconds in enumerate(moments):
        left_behind = home / f"parts-{n + 1}"

        def kill(
            directory: Path, collecting: asyncio.Task[Account], copy: Path = left_behind
        ) -> None:
            if directory.exists():
                shutil.copytree(directory, copy)
            collecting.cancel()

        run = Run(current, stormy(ids))
        before = set(run.states())
        with contextlib.suppress(asyncio.CancelledError):
            run.collect(ids, after(seconds, kill))
        assert not before & set(run.asker.questions())
        current = left_behind
    last = Run(current, stormy(ids))
    before = set(last.states())
    last.collect(ids)
    assert not before & set(last.asker.questions())
    assert last.states() == expected_states(home, ids)
    assert len(set(last.interactions())) == len(last.interactions())


def test_no_more_than_two_seconds_of_answers_are_lost_by_a_kill(tmp_path: Path) -> None:
    ids = contacts(100)
    seen: list[tuple[float, set[Any]]] = []
    run = Run(tmp_path / "parts", ScriptedAsker(latency=0.3))

    async def look(directory: Path, collecting: asyncio.Task[Account]) -> None:
        loop = asyncio.get_running_loop()
        while not collecting.done():
            await asyncio.sleep(0.3)
            table = parts.settled(directory).to_pylist()
            seen.append(
                (loop.time(), {(row["contact_id"], Source(row["source"])) for row in table})
            )

    run.collect(ids, look)
    for at, on_disk in seen:
        old = {(e.contact_id, e.source) for e in run.asker.answered if e.at < at - 2.0}
        assert old <= on_disk


def test_a_resumed_window_that_was_settled_whole_asks_nothing(tmp_path: Path) -> None:
    Run(tmp_path / "parts").collect(contacts(50))
    again = Run(tmp_path / "parts")
    account = again.collect(contacts(50))
    assert again.asker.asked == []
    assert account.states == {ANSWERED: 100}
    assert len(again.ledger()) == 100


@pytest.mark.parametrize("state", [FAILED, GONE])
def test_a_resumed_run_still_does_not_ask_archive_where_main_had_no_answer(
    tmp_path: Path, state: RequestState
) -> None:
    run = Run(tmp_path / "parts", sources=(MAIN,))
    run.asker.turns["c0001", MAIN] = [
        ContactUnknown("") if state is GONE else RequestRefused("status code 1")
    ]
    run.collect(contacts(3))
    again = Run(tmp_path / "parts")
    again.verdicts.learn({(MAIN, ANSWERED): 2})
    again.collect(contacts(3))
    assert sorted(again.asker.questions()) == [("c0000", ARCHIVE), ("c0002", ARCHIVE)]
    assert again.states()["c0001", ARCHIVE] is state


@pytest.mark.parametrize("day", [date(2024, 1, 1)])
def test_outcomes_carry_the_injected_moment(run: Run, day: date) -> None:
    run.collect(contacts(3))
    assert all(each.finished_at.date() == day for each in run.outcomes)
    assert len(run.outcomes) == 6
