"""How a request ends, and with it the command, over real HTTP: by exit status, and at the server's
own count of what was asked."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from history_pipeline.errors import ServerSilent
from history_pipeline.model import Window
from history_pipeline_tests.dagster_ui.site import bare_environment, run_python
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    rows,
    run_days,
    settings_of,
    simulator,
)
from history_pipeline_tests.end_to_end.test_commands import command
from history_pipeline_tests.families import mostly_slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 8), contacts=30)
DAYS = Window(SPAN.start, date(2026, 10, 5))
ARGUMENTS = ("--from", DAYS.start.isoformat(), "--to", DAYS.last.isoformat())

PATIENCE = 3.0
"""Seconds for which the server may be unusable here; 300 for everybody else."""

_IMPATIENT = f"""
import sys
from datetime import date
from history_pipeline.cli.backfill import run_backfill
from history_pipeline_tests.families import mostly_slow
from history_pipeline.cli.exits import guarded
days = map(date.fromisoformat, sys.argv[1:])
sys.exit(guarded(lambda: sys.exit(run_backfill(*days, patience={PATIENCE}))))
"""


@dataclass(frozen=True, slots=True)
class BadDay:
    """What the simulator is told, and what the command's last words must say."""

    flags: tuple[str, ...]
    words: str
    keeps_answers: bool = False


UNUSABLE = {
    "silent for good": BadDay(("--mute-from", "10"), "delivered nothing", keeps_answers=True),
    "advised not to come back": BadDay(
        ("--cometd-session-requests", "10", "--lost-session-advice", "none"),
        "advises not to come back",
        keeps_answers=True,
    ),
    "403 for the token, for ever": BadDay(("--http-403-share", "1"), "HTTP 403"),
    "429 for ever": BadDay(("--http-429-share", "1"), "HTTP 429"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bad", UNUSABLE.values(), ids=UNUSABLE)
def test_a_server_that_cannot_be_used_ends_the_command_with_status_3_in_time(
    bad: BadDay, tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "data")
    with simulator(SPAN, *bad.flags) as url:
        told = environment(
            url,
            tmp_path / "data",
            GWS_CONCURRENCY="4",
            GWS_CANARY_INTERVAL="1",
            GWS_NOTIFICATION_TIMEOUT="30",
        )
        before = time.monotonic()
        done = impatient(told, tmp_path)
        took = time.monotonic() - before
    assert done.returncode == 3, done.stderr
    assert bad.words in done.stderr
    assert "Traceback" not in done.stderr
    assert took < 150, "the bound in time is the one it was given, and not five minutes"
    kept = list((tmp_path / "data").rglob("parts/*/part-*/ledger.parquet"))
    assert bool(kept) is bad.keeps_answers, "what was answered is kept, and nothing else"
    assert not (tmp_path / "data" / "history.duckdb").exists()


def impatient(told: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    days = (DAYS.start.isoformat(), DAYS.last.isoformat())
    return run_python(
        _IMPATIENT, *days, cwd=cwd, environment={**bare_environment(), **told}, timeout=200
    )


ENDLESS = {"http-503": "HTTP 503", "http-401": "HTTP 401", "html": "an HTML page"}


@pytest.mark.parametrize(("fault", "words"), mostly_slow(ENDLESS.items()))
def test_interruptions_without_end_end_the_run_within_the_bound(
    fault: str, words: str, tmp_path: Path
) -> None:
    with simulator(SPAN, f"--{fault}-share", "1") as url:
        settings = settings_of(environment(url, tmp_path))
        before = time.monotonic()
        with pytest.raises(ServerSilent, match=f"interrupted for {PATIENCE:g} s: {words}"):
            run_days(settings, DAYS, patience=PATIENCE)
    assert PATIENCE <= time.monotonic() - before < 20 * PATIENCE


# -- a run that ends ------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_failed_is_status_1_and_named_and_what_is_gone_absent_or_set_aside_is_no_failure(
    tmp_path: Path, seed_dbt: Callable[[Path], None]
) -> None:
    seed_dbt(tmp_path / "data")
    world = ("--unknown-contact-share", "0.2", "--unreadable-share", "0.1")
    known = told_by_history(tmp_path / "probe", world)
    failing, others = known[0], len(known) - 1
    gone = SPAN.contacts - len(known)
    assert gone > 0
    with simulator(SPAN, *world, "--failing-contacts", failing, "--no-archive") as url:
        told = environment(url, tmp_path / "data", GWS_MAX_ATTEMPTS="2")
        done = command(told, "backfill", *ARGUMENTS, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert (
        f"{2 * SPAN.contacts} requests planned = {others} answered + {others} unavailable + "
        f"{2 * gone} gone + 2 failed"
    ) in done.stdout
    assert " 0 records set aside" not in done.stdout
    assert f"1 requests: main: errorMessage in the notification (contact {failing})" in done.stdout
    assert f"1 requests: archive: main: not answered (contact {failing})" in done.stdout
    assert f"history-pipeline backfill {' '.join(ARGUMENTS)} --only-failed" in done.stdout


def told_by_history(data_dir: Path, world: tuple[str, ...]) -> list[str]:
    """The contacts that the server knows, by an extraction of its own."""
    with simulator(SPAN, *world) as url:
        settings = settings_of(environment(url, data_dir))
        run_days(settings, DAYS)
    answered = "select distinct contact_id from raw_gws.requests where state = 'answered'"
    return sorted(row[0] for row in rows(open_layout(settings), answered))


# -- attempts, at the server's own count ----------------------------------------------------------

SPENT = {
    "errorMessage": ("--error-share", "0.2"),
    "no notification in time": ("--lost-share", "0.1"),
    "500": ("--http-500-share", "0.2"),
    "a reset connection": ("--reset-share", "0.2"),
    "a reset connection, after it was accepted": ("--reset-after-share", "0.2"),
    "a cut reply": ("--truncated-share", "0.2"),
}
SPARED = {
    "401": ("--http-401-share", "0.2"),
    "403": ("--http-403-share", "0.2"),
    "429": ("--http-429-share", "0.1", "--retry-after", "0"),
    "503": ("--http-503-share", "0.1", "--retry-after", "0"),
    "a login page": ("--html-share", "0.2"),
    "a lost CometD session": ("--cometd-session-requests", "10"),
    "a lost HTTP session": ("--http-session-requests", "20"),
}


def asked(tmp_path: Path, flags: tuple[str, ...], **more: str) -> tuple[int, int]:
    """How many faults the server made, and how many attempts the ledger says were spent by them,
    over a run in which every request was answered in the end."""
    with simulator(SPAN, *flags) as url:
        settings = settings_of(environment(url, tmp_path, GWS_MAX_ATTEMPTS="12", **more))
        extraction = run_days(settings, DAYS)
        stats = stats_of(url)
    assert all(
        account.states == dict.fromkeys(account.states, 0) | {"answered": SPAN.contacts}
        for _, each in extraction.windows
        for account in each
    )
    query = "select sum(attempts) - count(*) from raw_gws.requests"
    return sum(stats["faults"].values()), int(rows(open_layout(settings), query)[0][0])


def stats_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/simulator/stats", timeout=10) as reply:
        return dict(json.load(reply))


@pytest.mark.parametrize("flags", mostly_slow((each,) for each in SPENT.values()), ids=SPENT)
def test_each_of_these_spends_one_attempt(flags: tuple[str, ...], tmp_path: Path) -> None:
    patient = {} if "--lost-share" in flags else {"GWS_NOTIFICATION_TIMEOUT": "30"}
    faults, spent = asked(tmp_path, flags, **patient)
    assert faults > 2
    assert spent == faults


@pytest.mark.parametrize("flags", mostly_slow((each,) for each in SPARED.values()), ids=SPARED)
def test_none_of_these_spends_an_attempt(flags: tuple[str, ...], tmp_path: Path) -> None:
    calm = {"GWS_NOTIFICATION_TIMEOUT": "30", "GWS_CONCURRENCY": "4"}
    faults, spent = asked(tmp_path, flags, **calm)
    assert faults > 2
    assert spent == 0
