"""The calendar that `status` draws."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from history_pipeline.cli import calendar_lines
from history_pipeline.cli.status import run_status
from history_pipeline.storage import completeness
from history_pipeline.storage.completeness import Day
from history_pipeline_tests.cli.conftest import SPAN, Site


def drawn(days: list[Day]) -> list[str]:
    return [line.plain for line in calendar_lines.lines(days)]


def run_of(source: str, first: date, standings: str) -> list[Day]:
    names = {"c": "complete", "p": "partial", "u": "unavailable", "n": "never asked"}
    return [
        Day(source, first + timedelta(days=number), names[sign])
        for number, sign in enumerate(standings)
    ]


def test_each_day_has_its_mark_in_its_months_line() -> None:
    main = run_of("main", date(2024, 2, 27), "cpunc")
    archive = run_of("archive", date(2024, 2, 29), "u")
    found = drawn([*main, *archive])
    assert found[0].split() == ["main", "archive"]
    assert found[2] == "2024-02" + "  " + " " * 26 + "█▄▒  " + "  " + " " * 28 + "▒  "
    assert found[3] == "2024-03" + "  " + "·█" + " " * 29 + "  " + " " * 31
    assert found[1][9:13] == "1   "
    assert found[1][38:43] == "30   ", "the ruler stands over the days"
    assert "▄ partial" in found[-1]


def test_nothing_asked_is_nothing_drawn() -> None:
    assert drawn([]) == []


def test_two_sources_fit_a_terminal_of_80_columns() -> None:
    days = run_of("main", date(2024, 1, 1), "c" * 31) + run_of("archive", date(2024, 1, 1), "c")
    assert max(map(len, drawn(days))) <= 80


@pytest.mark.slow
def test_status_shows_the_calendar_and_the_numbers(
    site: Site, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in site.told.items():
        monkeypatch.setenv(name, value)
    assert run_status() == 0
    told = capfd.readouterr().out
    assert "2026-10  " + " " * 19 + "█" * 12 in told
    assert "complete" in told
    days = completeness.days(site.layout)
    assert [day.day for day in days if day.source == "main"] == [
        SPAN.start + timedelta(days=n) for n in range(12)
    ]
