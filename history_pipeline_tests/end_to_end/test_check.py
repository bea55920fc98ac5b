"""`check` as a user meets it: the table, the file that it writes, and what it leaves alone."""

from __future__ import annotations

import json
import stat
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from history_pipeline.storage import locks
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import Span, environment, simulator
from history_pipeline_tests.end_to_end.test_commands import command
from history_pipeline_tests.families import mostly_slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 15), contacts=40, giant=120)
READING = {"RetrieveContactHistory", "RetrieveInteractionHistory"}


def stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/simulator/stats") as reply:
        return dict(json.load(reply))


def operations(url: str) -> dict[str, Any]:
    return dict(stats(url)["operations"])


def table(screen: str) -> dict[str, str]:
    """Question → the rest of its row, in one line. The table has no other way to be read."""
    rows: dict[str, str] = {}
    question, told = "", ""
    for line in screen.splitlines():
        if line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            question = f"{question} {cells[0]}".strip()
            told = f"{told} {' '.join(cells[1:])}"
        elif question:
            rows[question] = " ".join(told.split())
            question, told = "", ""
    return rows


def test_the_table_has_a_row_for_each_question_and_the_file_what_to_set(tmp_path: Path) -> None:
    with simulator(SPAN) as url:
        told = environment(
            url, tmp_path / "data", GWS_NOTIFICATION_TIMEOUT="2", GWS_REQUESTS_PER_SECOND="10"
        )
        done = command(told, "check", "--write", "found.env", cwd=tmp_path)
        seen = operations(url)
        assert stats(url)["mostAskedPerSecond"] <= 10
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(done.stdout)
    assert len(rows) == 19
    for question, wording in {
        "transports offered": "settled long-polling;",
        "advice": "timeout 30 s, interval 0 s",
        "ack extension": "settled echoed",
        "login and its encoding": "written in utf-8",
        "CSRF protection": "settled on",
        "roles of the user": "ROLE_ADMIN",
        "features": "settled all",
        "who is listed as contacts": "lists customers",
        "do answers stop at a number": "settled no",
    }.items():
        assert wording in rows[question]
    asked = {name for name in seen if not name.startswith(("/meta/", "GET "))}
    assert asked == READING, "nothing but what reads"
    assert sum(seen[name] for name in READING) < 30
    written = tmp_path / "found.env"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    text = written.read_text()
    assert "GWS_NOTIFICATION_TIMEOUT=60" in text
    assert told["GWS_PASSWORD"] not in text


@pytest.mark.slow
def test_what_was_written_is_all_that_another_check_needs_but_the_password(
    tmp_path: Path,
) -> None:
    with simulator(SPAN) as url:
        told = environment(url, tmp_path / "data")
        first = command(told, "check", "--write", ".env", cwd=tmp_path)
        again = command({"GWS_PASSWORD": told["GWS_PASSWORD"]}, "check", cwd=tmp_path)
    assert (first.returncode, again.returncode) == (0, 0), again.stdout + again.stderr


@pytest.mark.slow
def test_a_site_that_is_the_other_way_round_is_told_as_it_is(tmp_path: Path) -> None:
    switches = ("--no-csrf", "--no-ack", "--no-features", "--roles", ",", "--basic-encoding",
                "iso-8859-1", "--password", "pâss", "--cometd-interval", "1500",
                "--cometd-timeout", "9000", "--sort-ignored", "--no-archive",
                "--transports", "websocket,long-polling")  # fmt: skip
    with simulator(SPAN, *switches) as url:
        told = environment(
            url, tmp_path / "data", GWS_PASSWORD="pâss", GWS_BASIC_ENCODING="iso-8859-1"
        )
        done = command(told | {"GWS_NOTIFICATION_TIMEOUT": "60"}, "check", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(done.stdout)
    for question, wording in {
        "transports offered": "websocket, long-polling;",
        "advice": "timeout 9 s, interval 1.5 s",
        "ack extension": "not echoed",
        "login and its encoding": "written in iso-8859-1",
        "CSRF protection": "off",
        "roles of the user": "not settled",
        "features": "not told",
        "is sort obeyed": "look at it",
        "archive": "look at it",
    }.items():
        assert wording in rows[question]


@pytest.mark.slow
def test_where_the_list_is_the_agents_directory_the_way_out_is_found_and_written(
    tmp_path: Path,
) -> None:
    with simulator(SPAN, "--agents-listed") as url:
        told = environment(url, tmp_path / "data")
        done = command(told, "check", "--write", "found.env", cwd=tmp_path)
        mended = command(told | {"HISTORY_CONTACTS": "activity"}, "check", cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "✗ contacts (gws)" in done.stdout
    rows = table(done.stdout)
    assert "HISTORY_CONTACTS=activity" in rows["who is listed as contacts"]
    assert rows["is toDate included"].startswith("settled")
    assert "HISTORY_CONTACTS=activity" in (tmp_path / "found.env").read_text()
    assert mended.returncode == 0
    assert "as on most sites" in table(mended.stdout)["who is listed as contacts"]


def test_a_file_that_is_there_is_not_overwritten_and_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "mine.env").write_text("mine")
    with simulator(SPAN) as url:
        told = environment(url, tmp_path / "data")
        done = command(told, "check", "--write", "mine.env", cwd=tmp_path)
        assert operations(url) == {}
    assert done.returncode == 2
    assert "mine.env is there already" in done.stdout
    assert (tmp_path / "mine.env").read_text() == "mine"


@pytest.mark.slow
def test_a_given_contact_that_is_unknown_is_status_2(tmp_path: Path) -> None:
    with simulator(SPAN) as url:
        told = environment(url, tmp_path / "data")
        done = command(told, "check", "--contact", "0001nobody", cwd=tmp_path)
    assert done.returncode == 2
    assert "--contact 0001nobody" in done.stdout


def test_a_wrong_password_is_status_3_and_no_second_try(tmp_path: Path) -> None:
    with simulator(SPAN) as url:
        told = environment(url, tmp_path / "data", GWS_PASSWORD="fälsch")
        done = command(told, "check", "--write", "found.env", cwd=tmp_path)
    assert done.returncode == 3
    assert "GWS_BASIC_ENCODING" in done.stdout
    assert "fälsch" not in done.stdout + done.stderr
    assert not (tmp_path / "found.env").exists()


@pytest.mark.parametrize("writes", mostly_slow([True, False]))
def test_while_another_run_asks_nothing_is_found_out_and_nothing_written(
    tmp_path: Path, writes: bool
) -> None:
    (tmp_path / "data").mkdir()
    option = ("--write", "found.env") if writes else ()
    with (
        simulator(SPAN) as url,
        locks.exclusive(Layout(tmp_path / "data").extraction_lock, "extracting", 0),
    ):
        done = command(environment(url, tmp_path / "data"), "check", *option, cwd=tmp_path)
        asked = [name for name in operations(url) if not name.startswith("/meta/")]
    assert done.returncode == (4 if writes else 0), done.stdout + done.stderr
    assert asked == ["GET /api/v2/me"]
    assert "another run is asking" in table(done.stdout)["is sort obeyed"]
    assert not (tmp_path / "found.env").exists()


def test_a_channel_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with simulator(SPAN) as url:
        told = environment(url, tmp_path / "data", GWS_NOTIFICATIONS_PATH="/genesys/cometd")
        done = command(told, "check", cwd=tmp_path)
    assert done.returncode == 3
    assert "GWS_NOTIFICATIONS_PATH" in done.stdout
    assert "not settled" in table(done.stdout)["endpoint and channel"]


@pytest.mark.slow
def test_a_channel_that_answers_nothing_is_named_and_its_questions_are_left_open(
    tmp_path: Path,
) -> None:
    with simulator(SPAN, "--lost-share", "1") as url:
        done = command(environment(url, tmp_path / "data"), "check", cwd=tmp_path)
    assert done.returncode == 3
    assert "✗ canary request (main)" in done.stdout and "GWS_CHANNEL" in done.stdout
    rows = table(done.stdout)
    assert rows["endpoint and channel"].startswith("not settled")
    assert rows["who is listed as contacts"].startswith("settled")
    assert rows["archive"].startswith("not settled")
