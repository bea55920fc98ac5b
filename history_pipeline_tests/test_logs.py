"""Log lines as JSON: one object a line, with what belongs to it and no exception's text."""

from __future__ import annotations

import io
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from history_pipeline import logs

CUSTOMER = "Ms Example, 0151 2345"


def formatted(record: logging.LogRecord) -> dict[str, Any]:
    line = logs.JsonLines().format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def record(message: str, *arguments: Any, error: bool = False) -> logging.LogRecord:
    caught = None
    if error:
        try:
            raise ValueError(CUSTOMER)
        except ValueError:
            caught = sys.exc_info()
    return logging.LogRecord("gws.channel", logging.WARNING, "", 0, message, arguments, caught)


@pytest.fixture(autouse=True)
def _nothing_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_now", {})


def test_a_line_has_its_moment_in_utc_its_level_its_logger_and_its_message() -> None:
    found = formatted(record("lost: %s", "two\nlines + 密"))
    moment = datetime.fromisoformat(found.pop("time"))
    assert moment.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 600
    assert found == {
        "level": "warning",
        "logger": "gws.channel",
        "message": "lost: two\nlines + 密",
    }


def test_lines_belong_to_the_run_that_is_at_work() -> None:
    assert "run_id" not in formatted(record("before"))
    logs.name_run("20261001T000000Z-00000000")
    assert formatted(record("after"))["run_id"] == "20261001T000000Z-00000000"


def test_of_an_exception_only_the_kind_and_the_place_are_told() -> None:
    line = logs.JsonLines().format(record("broken", error=True))
    assert json.loads(line)["error"].startswith("ValueError in test_logs.py:")
    assert CUSTOMER not in line


def test_lines_that_are_printed_in_pieces_become_whole_objects() -> None:
    out = io.StringIO()
    lines = logs.Lines("history_pipeline.cli", out)
    for piece in ("asking ", "2026-10-01\n\nrun", " x\n", "not yet"):
        lines.write(piece)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [each["message"] for each in told] == ["asking 2026-10-01", "run x"]
    assert {each["level"] for each in told} == {"info"}


@pytest.mark.parametrize("word", [None, "", "text", "yaml"])
def test_any_other_word_leaves_logging_as_it_is(word: str | None) -> None:
    before = list(logging.getLogger().handlers)
    logs.set_up(word)
    assert logging.getLogger().handlers == before
    assert not logs.is_json()


def test_last_words_are_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.last_words("the configuration is not usable")
    assert capsys.readouterr().err == "history-pipeline: the configuration is not usable\n"
