"""The console script as a user meets it: exit status, messages, and nothing lost."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from history_pipeline_tests.end_to_end.running import PASSWORD, Span, environment, simulator
from history_pipeline_tests.families import mostly_slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 8), contacts=8)
DAYS = ("--from", "2026-10-01", "--to", "2026-10-03")


def base_environment() -> dict[str, str]:
    """What a shell would hand on; nothing that configures the pipeline."""
    shell = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**shell, "PYTHONUTF8": "1"}


def command(
    told: dict[str, str], *arguments: str, cwd: Path, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from history_pipeline.cli import run; run()", *arguments],
        env={**base_environment(), **told},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with simulator(SPAN) as running:
        yield running


@pytest.fixture
def told(url: str, tmp_path: Path) -> dict[str, str]:
    return environment(url, tmp_path / "data")


def test_without_configuration_every_missing_variable_is_named(tmp_path: Path) -> None:
    done = command({}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    for name in ("GWS_URL", "GWS_USERNAME", "GWS_PASSWORD", "GWS_TIMEZONE", "HISTORY_CONTACTS"):
        assert name in done.stderr
    assert not any(tmp_path.iterdir()), "nothing is written before the configuration is checked"


def test_several_mistakes_are_all_named_at_once(told: dict[str, str], tmp_path: Path) -> None:
    wrong = {
        "GWS_TIMEZONE": "Mars/Olympus",
        "HISTORY_MEDIA_TYPE": "fax",
        "HISTORY_SOURCES": "main,attic",
        "GWS_CONCURRENCY": "none",
        "HISTORY_CUSTOM_ATTRIBUTES": "[",
    }
    done = command({**told, **wrong}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    for name in wrong:
        assert name in done.stderr
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "wording"),
    mostly_slow(
        [
            (("--from", "2026-10-03", "--to", "2026-10-01"), "is after"),
            (("--from", "2026-10-01", "--to", "TODAY"), "has not ended"),
            (("--from", "2009-01-01", "--to", "2026-10-01"), "HISTORY_START_DATE"),
            (("--from", "yesterday", "--to", "2026-10-01"), "no day"),
            (("--from", "2026-10-01"), "--to"),
        ]
    ),
)
def test_days_that_cannot_be_asked_for_are_refused(
    told: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], wording: str
) -> None:
    today = datetime.now(UTC).astimezone(ZoneInfo("Europe/Berlin")).date().isoformat()
    given = [today if argument == "TODAY" else argument for argument in arguments]
    done = command(told, "backfill", *given, cwd=tmp_path)
    assert done.returncode == 2
    assert wording in done.stderr


def test_a_wrong_password_is_status_3_and_is_not_shown(
    told: dict[str, str], tmp_path: Path
) -> None:
    done = command({**told, "GWS_PASSWORD": "hunter2-not-it"}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 3
    assert "GWS_PASSWORD" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.slow
def test_no_route_is_status_3(told: dict[str, str], tmp_path: Path) -> None:
    done = command({**told, "GWS_URL": "http://127.0.0.1:9"}, "check", cwd=tmp_path)
    assert done.returncode == 3
    assert "GWS_URL" in done.stdout


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>Welcome</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silent."""


@pytest.mark.parametrize("contacts", mostly_slow(["gws", "file"]))
def test_a_url_that_is_no_gws_is_status_3(
    told: dict[str, str], tmp_path: Path, contacts: str
) -> None:
    (tmp_path / "ids.csv").write_text("contact_id\n0001\n")
    given = "gws" if contacts == "gws" else f"file:{tmp_path / 'ids.csv'}"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        somewhere = f"http://127.0.0.1:{server.server_port}"
        done = command(
            {**told, "GWS_URL": somewhere, "HISTORY_CONTACTS": given},
            "backfill", *DAYS, cwd=tmp_path,
        )  # fmt: skip
        server.shutdown()
    assert done.returncode == 3
    assert "GWS_URL" in done.stderr


def test_a_channel_that_refuses_the_subscription_is_status_3(tmp_path: Path) -> None:
    with simulator(SPAN, "--refuse-subscription") as url:
        done = command(environment(url, tmp_path / "data"), "check", cwd=tmp_path)
    assert done.returncode == 3
    assert "GWS_CHANNEL" in done.stdout


def test_a_contacts_file_without_the_column_is_status_2(
    told: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "ids.csv").write_text("customer,name\n0001,x\n")
    done = command({**told, "HISTORY_CONTACTS": "file:ids.csv"}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    assert "contact_id" in done.stderr


def test_a_data_directory_that_cannot_be_written_is_status_2(
    told: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("in the way")
    given = {**told, "HISTORY_DATA_DIR": str(tmp_path / "a file" / "data")}
    done = command(given, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    assert "HISTORY_DATA_DIR" in done.stderr


def test_a_data_directory_of_another_server_is_status_2_and_stays_as_it_is(
    told: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    identity = data / "identity.json"
    identity.write_text('{"format": 1, "server": "https://elsewhere", "zone": "Europe/Berlin"}')
    before = identity.read_bytes()
    done = command(told, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 2
    assert "https://elsewhere" in done.stderr
    assert identity.read_bytes() == before
    assert [path.name for path in data.iterdir()] == ["identity.json"]


def test_a_published_file_that_is_no_duckdb_file_is_status_4_and_is_not_replaced(
    told: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    theirs = data / "history.duckdb"
    theirs.write_text("somebody's notes, no database")
    done = command(told, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 4
    assert "history.duckdb" in done.stderr
    assert theirs.read_text() == "somebody's notes, no database"


def test_check_passes_on_a_good_server_from_any_directory(
    told: dict[str, str], tmp_path: Path
) -> None:
    done = command(told, "check", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓") == 6


@pytest.mark.slow
def test_ids_that_are_no_customers_end_the_run_with_status_3(
    told: dict[str, str], tmp_path: Path
) -> None:
    ids = "\n".join(f"{n:032x}" for n in range(40))
    (tmp_path / "agents.csv").write_text(f"contact_id\n{ids}\n")
    done = command({**told, "HISTORY_CONTACTS": "file:agents.csv"}, "backfill", *DAYS, cwd=tmp_path)
    assert done.returncode == 3
    assert "customers' ids" in done.stderr
