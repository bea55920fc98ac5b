"""Every bad day of the server, alone and together: the warehouse is the world, and the ledger adds
up."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from history_pipeline.errors import ServerUnusable
from history_pipeline.history.extraction import Extraction
from history_pipeline.model import RequestState, Source, Window
from history_pipeline_tests.end_to_end import oracle
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    run_days,
    settings_of,
    simulator,
)
from history_pipeline_tests.end_to_end.test_world import ASKED, compare, fetch

pytestmark = pytest.mark.slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 20), contacts=40, seed=9)
DAYS = Window(SPAN.start, SPAN.end)
LATENCY = ("--latency", "1,20")
PATIENT = {"GWS_MAX_ATTEMPTS": "12"}
"""More attempts than the same dice can spend."""

FAULTS = {
    "lost": ["--lost-share", "0.2"],
    "doubled": ["--doubled-share", "0.4"],
    "late, after the deadline": ["--late-share", "0.1", "--late-seconds", "1.3"],
    "late, after the epoch": ["--after-epoch-share", "0.1", "--cometd-session-requests", "30"],
    "reordered": ["--reordered-share", "0.5", "--reordered-wait", "50"],
    "foreign": ["--foreign-share", "0.5"],
    "of another type": ["--other-type-share", "0.5"],
    "errorMessage": ["--error-share", "0.1"],
    "a cut reply": ["--cut-reply-share", "0.3"],
    "a cut reply, without ack": ["--cut-replies", "2,5", "--no-ack"],
    "401": ["--http-401-share", "0.1"],
    "403": ["--http-403-share", "0.1"],
    "429": ["--http-429-share", "0.03", "--retry-after-forms", "seconds,date,none"],
    "503": ["--http-503-share", "0.03", "--retry-after-forms", "seconds,date,none"],
    "500": ["--http-500-share", "0.1"],
    "html": ["--html-share", "0.1"],
    "truncated JSON": ["--truncated-share", "0.1"],
    "reset": ["--reset-share", "0.1"],
    "reset after it was accepted": ["--reset-after-share", "0.1"],
    "faults of contact pages": ["--http-500-share", "0.3", "--http-faults-on", "contacts"],
    "faults of polls": ["--http-500-share", "0.3", "--http-faults-on", "polls"],
    "the HTTP session ends": ["--http-session-requests", "25"],
    "the HTTP session ages": ["--http-session-life", "0.5"],
    "the CometD session ends": ["--cometd-session-requests", "20"],
    "the CometD session ages": ["--cometd-session-life", "0.5"],
    "and no advice is given": [
        "--cometd-session-requests", "20", "--lost-session-advice", "absent",
    ],
    "reference ids start again": [
        "--cometd-session-requests", "20", "--reference-ids", "session",
    ],
    "an interval between polls": ["--cometd-interval", "100"],
    "two nodes": ["--nodes", "2"],
    "a bound on requests a second": ["--max-per-second", "60"],
}  # fmt: skip


def run(
    tmp_path: Path, flags: tuple[str, ...], span: Span = SPAN, **told: str
) -> tuple[Extraction, Path, dict[str, object]]:
    """An extraction over the span; its data directory, and what the server counted."""
    with simulator(span, *LATENCY, *flags) as url:
        settings = settings_of(
            environment(
                url, tmp_path, HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED), **(PATIENT | told)
            )
        )
        extraction = run_days(settings, DAYS)
        with urllib.request.urlopen(f"{url}/simulator/stats") as reply:
            stats = json.load(reply)
    assert_it_adds_up(extraction)
    return extraction, tmp_path, stats


def assert_it_adds_up(extraction: Extraction) -> None:
    for _, accounts in extraction.windows:
        for account in accounts:
            assert sum(account.states.values()) == account.planned


def states(extraction: Extraction) -> Counter[RequestState]:
    found: Counter[RequestState] = Counter()
    for _, accounts in extraction.windows:
        for account in accounts:
            found.update({state: count for state, count in account.states.items() if count})
    return found


@pytest.mark.parametrize("flags", FAULTS.values(), ids=FAULTS)
def test_each_fault_alone_costs_nothing(flags: list[str], tmp_path: Path) -> None:
    extraction, _, stats = run(tmp_path, tuple(flags))
    if any(flag.endswith("-share") for flag in flags):
        assert stats["faults"], "the fault did not happen"
    assert states(extraction) == {RequestState.ANSWERED: 2 * SPAN.contacts}
    compare(open_layout(settings_of(told(tmp_path))), SPAN, SPAN.start, SPAN.end)


def told(tmp_path: Path) -> dict[str, str]:
    """The settings of a directory whose server is gone: only its data are looked at."""
    identity = json.loads((tmp_path / "identity.json").read_text())
    return environment(identity["server"], tmp_path)


def test_all_together_cost_nothing_either(tmp_path: Path) -> None:
    flags = [
        *("--lost-share", "0.05", "--doubled-share", "0.1", "--foreign-share", "0.1"),
        *("--other-type-share", "0.1", "--error-share", "0.03", "--early-share", "0.2"),
        *("--late-share", "0.03", "--late-seconds", "1.3", "--reordered-share", "0.1"),
        *("--after-epoch-share", "0.03", "--cometd-session-requests", "60"),
        *("--cut-reply-share", "0.05", "--http-401-share", "0.02", "--http-403-share", "0.02"),
        *("--http-429-share", "0.01", "--http-503-share", "0.01", "--http-500-share", "0.03"),
        *("--html-share", "0.02", "--truncated-share", "0.02", "--reset-share", "0.02"),
        *("--reset-after-share", "0.02", "--http-session-requests", "70", "--nodes", "2"),
    ]
    extraction, _, stats = run(tmp_path, tuple(flags), GWS_CONCURRENCY="8")
    assert states(extraction) == {RequestState.ANSWERED: 2 * SPAN.contacts}
    compare(open_layout(settings_of(told(tmp_path))), SPAN, SPAN.start, SPAN.end)
    assert len(stats["faults"]) > 10  # type: ignore[arg-type]


def test_a_channel_that_is_mute_for_a_while_costs_no_attempts(tmp_path: Path) -> None:
    extraction, _, _ = run(
        tmp_path,
        ("--mute-from", "30", "--mute-seconds", "3"),
        GWS_CANARY_INTERVAL="1",
        GWS_NOTIFICATION_TIMEOUT="10",
    )
    layout = open_layout(settings_of(told(tmp_path)))
    compare(layout, SPAN, SPAN.start, SPAN.end)
    assert fetch(layout, "select max(attempts) from raw_gws.requests") == [(1,)]
    assert states(extraction) == {RequestState.ANSWERED: 2 * SPAN.contacts}


def test_advice_not_to_come_back_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ServerUnusable, match="advises not to come back"):
        run(tmp_path, ("--cometd-session-requests", "20", "--lost-session-advice", "none"))


def test_a_contact_that_always_fails_fails_and_nobody_else(tmp_path: Path) -> None:
    extraction, _, _ = run(tmp_path, ("--failing-contact-share", "0.1"), GWS_MAX_ATTEMPTS="2")
    layout = open_layout(settings_of(told(tmp_path)))
    failed = fetch(
        layout, "select distinct contact_id from raw_gws.requests where state = 'failed'"
    )
    assert 0 < len(failed) < SPAN.contacts / 3
    assert states(extraction)[RequestState.FAILED] == 2 * len(failed)
    wanted = {
        interaction
        for interaction, found in world_of(SPAN).items()
        if any(copy.requested not in {row[0] for row in failed} for copy in found)
    }
    assert {row[0] for row in fetch(layout, "select interaction_id from raw_gws.interactions")} == (
        wanted
    )


def test_contacts_that_the_server_does_not_know_are_gone(tmp_path: Path) -> None:
    extraction, _, _ = run(tmp_path, ("--unknown-contact-share", "0.2"))
    counts = states(extraction)
    assert counts[RequestState.GONE] > 0
    assert set(counts) == {RequestState.ANSWERED, RequestState.GONE}


def test_contacts_that_come_and_go_while_paging_are_all_asked(tmp_path: Path) -> None:
    extraction, _, _ = run(
        tmp_path,
        ("--contacts-inserted-share", "0.2", "--contacts-removed-share", "0.1", "--max-page", "7"),
    )
    layout = open_layout(settings_of(told(tmp_path)))
    listed = {row[0] for row in fetch(layout, "select contact_id from raw_gws.contacts")}
    steady = {contact.contact_id for contact in SPAN.world().contacts()}
    assert states(extraction)[RequestState.FAILED] == 0
    assert len(listed & steady) >= 0.85 * SPAN.contacts


def test_what_the_archiver_moves_while_the_run_is_on_is_seen(tmp_path: Path) -> None:
    extraction, _, _ = run(tmp_path, ("--archiver-per-request", "5"))
    layout = open_layout(settings_of(told(tmp_path)))
    assert {row[0] for row in fetch(layout, "select interaction_id from raw_gws.interactions")} == (
        world_of(SPAN).keys()
    )
    assert states(extraction) == {RequestState.ANSWERED: 2 * SPAN.contacts}


@pytest.mark.parametrize("over", ["429", "503"])
def test_the_bound_in_flight_holds_at_the_servers_own_count(tmp_path: Path, over: str) -> None:
    flags = ("--latency", "20,60", "--lost-share", "0.05", "--cometd-session-requests", "50")
    _, _, stats = run(tmp_path, (*flags, "--over-limit-status", over), GWS_CONCURRENCY="8")
    assert 4 <= int(str(stats["mostInFlight"])) <= 8


def world_of(span: Span) -> dict[str, list[oracle.Copy]]:
    sources = (Source.MAIN.value, Source.ARCHIVE.value)
    return oracle.copies(span.world(), ZoneInfo(span.zone), span.start, span.end, sources)
