"""What nobody may read is nowhere: not in logs of every library at debug level, not in tracebacks,
not in what Dagster keeps, not in Parquet, not in DuckDB."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from history_pipeline.simulator.draws import key_number
from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    PASSWORD,
    USERNAME,
    Span,
    environment,
    rows,
    simulator,
)
from history_pipeline_tests.end_to_end.test_commands import base_environment
from history_pipeline_tests.end_to_end.test_upkeep import everything
from history_pipeline_tests.end_to_end.test_world import ASKED

SPAN = Span(date(2026, 10, 1), date(2026, 10, 8), contacts=25, seed=77)
DAYS = ("--from", "2026-10-01", "--to", "2026-10-05")
BASIC = b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
TALKATIVE = """
import logging, sys
logging.basicConfig(filename="debug.log", level=1, force=True, encoding="utf-8")
import asyncio
from history_pipeline.cli import run
run()
"""
"""Every logger there is says all that it can; asyncio tells of its tasks and callbacks too."""

SPILLING = """
import logging
from history_pipeline.gws.transport import AiohttpTransport
real = AiohttpTransport.send
async def send(self, *args, **options):
    reply = await real(self, *args, **options)
    logging.debug("%s %s", self._headers, reply.headers)
    return reply
AiohttpTransport.send = send
"""
"""The twin: what is sent and received is logged with its headers."""

pytestmark = pytest.mark.slow


def talkative(
    told: dict[str, str], cwd: Path, *command: str, spilling: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "default", "-c", spilling + TALKATIVE, *command],
        env={**base_environment(), "PYTHONASYNCIODEBUG": "1", **told},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@dataclass(frozen=True, slots=True)
class Left:
    """What two runs have left behind: one that failed in the middle, one through bad weather."""

    data_dir: Path
    said: str

    @property
    def layout(self) -> Layout:
        return Layout(self.data_dir)


@pytest.fixture(scope="module")
def left(
    tmp_path_factory: pytest.TempPathFactory, seed_dbt: Callable[[Path], None]
) -> Iterator[Left]:
    home = tmp_path_factory.mktemp("talkative")
    root = home / "data"
    root.mkdir()
    seed_dbt(root)
    told = {"HISTORY_CUSTOM_ATTRIBUTES": json.dumps(ASKED), "GWS_MAX_ATTEMPTS": "12"}
    leaving = ("--cometd-session-requests", "20", "--lost-session-advice", "none")
    with simulator(SPAN, *leaving) as url:
        assert_ids_are_foretold(url)
        failed = talkative(environment(url, root, **told), home, "backfill", *DAYS)
    assert failed.returncode == 3, failed.stderr
    weather = ("--http-401-share", "0.05", "--http-403-share", "0.05", "--html-share", "0.05",
               "--truncated-share", "0.05", "--reset-share", "0.05", "--error-share", "0.05",
               "--unreadable-share", "0.05", "--http-429-share", "0.02")  # fmt: skip
    with simulator(SPAN, *weather, port=int(url.rpartition(":")[2])):
        ended = talkative(environment(url, root, **told), home, "backfill", *DAYS)
    assert ended.returncode == 0, ended.stderr
    said = (home / "debug.log").read_text(encoding="utf-8", errors="replace")
    assert "DEBUG" in said
    yield Left(root, "\n".join([said, failed.stdout, failed.stderr, ended.stdout, ended.stderr]))


def sessions() -> list[str]:
    """The server's cookies, CSRF tokens and client ids: it draws them in this order."""
    return [
        f"{key_number('id', SPAN.seed, n):016x}{key_number('id2', SPAN.seed, n):016x}"
        for n in range(1, 2_000)
    ]


def assert_ids_are_foretold(url: str) -> None:
    request = urllib.request.Request(
        f"{url}/api/v2/me", headers={"Authorization": f"Basic {BASIC}"}
    )
    with urllib.request.urlopen(request) as reply:
        cookie = re.search(r"JSESSIONID=([0-9a-f]+)", reply.headers["Set-Cookie"])
        token = reply.headers["X-CSRF-TOKEN"]
    assert cookie is not None
    assert {cookie[1], token} <= set(sessions())


@pytest.fixture(scope="module")
def kept(left: Left) -> str:
    return everything(left.data_dir)


def spilt(text: str) -> dict[str, int]:
    """How many secrets of each kind are in it; kinds of which there is none are left out."""
    passwords = (PASSWORD, PASSWORD.encode().decode("latin-1"), json.dumps(PASSWORD)[1:-1])
    # all sessions at once: two thousand searches of as many megabytes would take a minute
    drawn = set(re.findall(r"[0-9a-f]{32}", text)) & set(sessions())
    counts = {
        "password": sum(each in text for each in passwords),
        "credentials": int(BASIC in text),
        "cookies and tokens": len(drawn),
    }
    return {kind: count for kind, count in counts.items() if count}


def test_neither_password_nor_cookie_nor_token_is_anywhere(left: Left, kept: str) -> None:
    assert spilt(kept) == {}
    assert spilt(left.said) == {}


def test_what_is_spilt_into_a_log_is_found(tmp_path: Path) -> None:
    with simulator(SPAN) as url:
        told = environment(url, tmp_path / "data")
        done = talkative(told, tmp_path, "check", spilling=SPILLING)
    assert done.returncode == 0, done.stderr
    found = spilt((tmp_path / "debug.log").read_text(encoding="utf-8", errors="replace"))
    assert found["credentials"] == 1
    assert found["cookies and tokens"] >= 2, "a cookie and a CSRF token"


def test_what_is_spilt_into_a_file_is_found_however_it_is_packed(tmp_path: Path) -> None:
    spilt_into = pa.table({"error": [f"login of {USERNAME} with {PASSWORD} failed"] * 1_000})
    files.write_table(spilt_into, tmp_path / "ledger.parquet")
    assert set(spilt(everything(tmp_path))) == {"password"}
    (tmp_path / "ledger.parquet").unlink()
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create table requests as from spilt_into")
    assert set(spilt(everything(tmp_path))) == {"password"}


def test_no_customers_text_is_in_a_log_a_traceback_or_dagsters_events(left: Left) -> None:
    texts = {
        text
        for (text,) in rows(
            left.layout,
            """
            select subject from raw_gws.interactions
            union select owner_last_name || ', ' || owner_first_name from raw_gws.interactions
            union select owner_user_name from raw_gws.interactions
            union select value from raw_gws.interaction_attributes
            union select payload from raw_gws.rejects
            union select unnest(json_extract_string(attributes, '$.*')) from raw_gws.contacts
            """,
        )
        if text and len(text) > 7 and not text.isdigit()
    }
    assert len(texts) > 100
    told = everything(left.layout.dagster_home)
    for place in (left.said, told):
        assert [text for text in texts if text in place] == []
        assert [text for text in texts if json.dumps(text)[1:-1] in place] == []
