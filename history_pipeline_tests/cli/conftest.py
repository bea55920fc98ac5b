"""A site whose days were asked, modelled and published: what commands that look are tried on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from history_pipeline.defs import models
from history_pipeline.model import Window
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.end_to_end.running import (
    Span,
    environment,
    open_layout,
    run_days,
    settings_of,
    simulator,
)

SPAN = Span(date(2026, 10, 20), date(2026, 11, 1), seed=3, contacts=50)


@dataclass(frozen=True)
class Site:
    layout: Layout
    told: dict[str, str]
    run_id: str


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Asked once; the server is gone since. `told` is what the operator has set."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        with simulator(SPAN, "--lost-share", "0.02") as url:
            told = environment(
                url,
                tmp_path_factory.mktemp("site") / "data",
                SPAN.zone,
                HISTORY_CUSTOM_ATTRIBUTES=json.dumps(["OrderNo", "orderno"]),
            )
            for name, value in told.items():
                monkeypatch.setenv(name, value)
            settings = settings_of(told)
            extraction = run_days(settings, Window(SPAN.start, SPAN.end))
        layout = open_layout(settings)
        models.publish(layout, settings)
    yield Site(layout, told, extraction.run_id)
