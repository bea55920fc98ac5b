"""A server that cuts its answers: what is loaded is what one that does not cut would have given,
or the request has failed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from history_pipeline.history.extraction import Extraction
from history_pipeline.model import TRUNCATED, RequestState, Source, Window
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    rows,
    run_days,
    settings_of,
    simulator,
)
from history_pipeline_tests.families import mostly_slow

SPAN = Span(date(2026, 10, 1), date(2026, 10, 20), contacts=30, seed=4, giant=400)
DAYS = Window(SPAN.start, SPAN.end)
CONTENT = (
    "select interaction_id, contact_id, state, ended_at_text, seen_in_main, seen_in_archive "
    "from raw_gws.interactions order by all"
)


def load(root: Path, *flags: str, **told: str) -> tuple[Extraction, Layout]:
    with simulator(SPAN, *flags) as url:
        settings = settings_of(environment(url, root, HISTORY_AUDIT_SHARE="0", **told))
        return run_days(settings, DAYS), open_layout(settings)


def states(extraction: Extraction, state: RequestState) -> int:
    return sum(each.states[state] for _, accounts in extraction.windows for each in accounts)


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[object, ...]]:
    extraction, layout = load(tmp_path_factory.mktemp("uncut"))
    assert extraction.findings.parted <= 8, "few answers look cut where none is"
    return rows(layout, CONTENT)


@pytest.mark.parametrize(
    "flags",
    mostly_slow(
        [
            (("--answer-cap", "50"),),
            (("--answer-cap", "23"),),
            (("--answer-cap", "50", "--to-date-excluded"),),
        ]
    ),
    ids=" ".join,
)
def test_what_was_cut_is_loaded_whole(
    uncut: list[tuple[object, ...]], flags: tuple[str, ...], tmp_path: Path
) -> None:
    extraction, layout = load(tmp_path, *flags)
    assert extraction.findings.parted > 0
    assert states(extraction, RequestState.FAILED) == 0
    assert rows(layout, CONTENT) == uncut


def test_a_limit_that_a_day_and_type_exceeds_makes_the_request_fail(
    uncut: list[tuple[object, ...]], tmp_path: Path
) -> None:
    _extraction, layout = load(tmp_path, "--answer-cap", "10")
    failed = rows(
        layout,
        "select contact_id, source, interactions, error from raw_gws.requests "
        "where state = 'failed' order by all",
    )
    assert failed, "the giant has more in a day than ten calls"
    assert {row[3] for row in failed} == {TRUNCATED}
    assert all(row[2] > 10 for row in failed), "what came is loaded nevertheless"
    cut = {(row[0], row[1]) for row in failed}
    missing = set(uncut) - set(rows(layout, CONTENT))
    giant = SPAN.world().contact_id(0)
    assert {row[1] for row in missing} <= {contact_id for contact_id, _ in cut} | {giant}
    incomplete = rows(
        layout, "select distinct source from raw_gws.coverage where state = 'failed' order by 1"
    )
    assert [Source(row[0]) for row in incomplete] == sorted({Source(row[1]) for row in failed})


def test_audits_agree_where_nothing_is_cut(tmp_path: Path) -> None:
    with simulator(SPAN) as url:
        settings = settings_of(environment(url, tmp_path, HISTORY_AUDIT_SHARE="0.5"))
        extraction = run_days(settings, DAYS)
    assert extraction.findings.audited > 10
    assert extraction.findings.disagreed == 0
    assert states(extraction, RequestState.FAILED) == 0
