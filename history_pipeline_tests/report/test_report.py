"""The page of charts: over a site, over nothing, over one day, and in a browser without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import vl_convert

from history_pipeline.defs import models
from history_pipeline.model import Window
from history_pipeline.report import charts, facts, page, pictures, script, words
from history_pipeline.report.facts import Facts
from history_pipeline.storage import warehouse
from history_pipeline.storage.completeness import Day
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

NOW = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
SPAN = Span(date(2026, 10, 20), date(2026, 11, 1), seed=3, contacts=40)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Site:
    layout: Layout
    facts: Facts


def published(
    root: Path, monkeypatch: pytest.MonkeyPatch, days: Window | None, *attributes: str
) -> Layout:
    """A site that was asked for these days, or for none."""
    with simulator(SPAN) as url:
        told = environment(
            url, root, SPAN.zone, HISTORY_CUSTOM_ATTRIBUTES=json.dumps(list(attributes))
        )
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        settings = settings_of(told)
        layout = open_layout(settings)
        if days is None:
            warehouse.load(layout, NOW)
        else:
            run_days(settings, days)
    models.publish(layout, settings)
    return layout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site that has an attribute named like a word of SQL."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        root = tmp_path_factory.mktemp("report") / "data"
        layout = published(
            root, monkeypatch, Window(SPAN.start, SPAN.end), "select", "OrderNo", "orderno"
        )
    return Site(layout, facts.read(layout))


def text_of(layout: Layout) -> str:
    written = page.write(layout, server="https://gws.example.com/<x>", now=NOW)
    return written.path.read_text()


def specs_in(text: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="specs">(.*?)</script>', text)
    specs: dict[str, Any] = json.loads(found)
    return specs


@pytest.mark.slow
def test_the_page_stands_alone(site: Site) -> None:
    text = text_of(site.layout)
    assert len(text.encode()) < 2_000_000
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert markup.count("<script") == 3
    assert not re.findall(r"(?:src|href|url|import)\b\s*[=(]", markup)
    assert "//" not in markup.replace("https://gws.example.com", "")
    assert "gws.example.com/&lt;x&gt;" in text
    assert site.layout.report.stat().st_mode & 0o077 == 0


@pytest.mark.slow
def test_every_chart_can_be_drawn(site: Site) -> None:
    specs = specs_in(text_of(site.layout))
    assert set(specs) == {
        *("volume", "backlog", "backlog-age", "repeats", "week", "throughput", "latency"),
        *("completeness-main", "completeness-archive", "rejects"),
    }
    for spec in specs.values():
        assert vl_convert.vegalite_to_svg({**spec, "width": 300}).count("<path") > 1
    assert pictures.markdown("week", specs["week"]).startswith("![week](data:image/svg+xml;base64,")


@pytest.mark.slow
def test_charts_show_what_the_tables_hold(site: Site) -> None:
    specs = specs_in(text_of(site.layout))

    def total(chart: str, column: str) -> int:
        return sum(row[column] for row in specs[chart]["data"]["values"])

    def held(query: str) -> Any:
        ((value,),) = rows(site.layout, query, site.layout.published)
        return value

    interactions = held("select count(*) from raw_gws.interactions")
    assert total("volume", "interactions") == total("week", "interactions") == interactions > 100
    open_ = {row["day"][:10]: row["open"] for row in specs["backlog"]["data"]["values"]}
    assert open_[SPAN.start.isoformat()] == held(
        "select count(*) from raw_gws.interactions where window_date = '2026-10-20'"
        " and (ended_at is null or timezone('Europe/Berlin', ended_at)::date > window_date)"
    )
    days = specs["completeness-main"]["data"]["values"]
    assert Counter(row["standing"] for row in days) == {"complete": 12}
    assert total("throughput", "requests") == 2 * SPAN.contacts
    assert total("rejects", "records") == held("select count(*) from raw_gws.rejects")


@pytest.mark.slow
def test_no_customers_text_is_on_the_page(site: Site) -> None:
    text = text_of(site.layout).split("<script>")[0]
    for column in ("interaction_id", "contact_id", "subject", "owner_user_name"):
        found = rows(
            site.layout,
            f"select distinct {column} from marts.interactions where length({column}) > 6",
            site.layout.published,
        )
        assert found
        assert not [value for (value,) in found if value in text]


@pytest.mark.slow
def test_an_attribute_named_like_a_word_of_sql_is_a_column(site: Site) -> None:
    names = rows(
        site.layout, "select name, column_name from marts.attribute_names", site.layout.published
    )
    assert ("select", "select_") in names
    assert words.attributes(site.facts).startswith("3 custom attributes have a column")


@pytest.mark.slow
def test_a_site_that_was_never_asked_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = published(tmp_path / "data", monkeypatch, None)
    text = text_of(layout)
    assert specs_in(text) == {}
    for told in (
        "Nothing has been asked of the server yet",
        "No day was asked, so none is complete.",
        "No run has ended yet.",
        "none is set aside",
        "No custom attribute is configured",
    ):
        assert told in text


@pytest.mark.slow
def test_one_day_without_attributes_is_drawn_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 10, 21)
    layout = published(tmp_path / "data", monkeypatch, Window(day, date(2026, 10, 22)))
    text = text_of(layout)
    assert "21 October 2026" in text
    assert "No custom attribute is configured, and none came." in text
    specs = specs_in(text)
    assert specs["backlog"]["mark"]["type"] == "point", "one day makes no line"
    for spec in specs.values():
        vl_convert.vegalite_to_svg({**spec, "width": 300})


def test_long_times_are_drawn_by_the_week_and_the_month() -> None:
    day = date(2020, 1, 1)
    for grain, form in (("day", "%-d %b"), ("week", "%-d %b %Y"), ("month", "%b %Y")):
        found = Facts(
            grain=grain, volume=[{"period": day, "media_type": "chat", "interactions": 1}]
        )
        spec = charts.volume(found)
        assert spec["encoding"]["x"]["axis"]["format"] == form
        vl_convert.vegalite_to_svg({**spec, "width": 300})


def test_what_is_lacking_is_said() -> None:
    found = Facts(
        totals={"day_sources": 3, "complete_day_sources": 1},
        calendar=[
            Day("main", day, standing)
            for day, standing in zip(
                Window(date(2026, 1, 1), date(2026, 1, 5)),
                ("complete", "partial", "never asked", "unavailable"),
                strict=True,
            )
        ],
    )
    told = words.trust(found)
    assert "2 of 3 days asked" in told
    assert "too low" in told
    assert "In 1 the server did not offer the source" in told
    assert "1 day between others was never asked" in told
    assert words.completeness(found) == (
        "Main: 1 day complete, 1 day partial, 1 day never asked, 1 day unavailable."
    )


def test_the_script_is_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = script.source(tmp_path)
    monkeypatch.setattr(vl_convert, "javascript_bundle", None)
    assert script.source(tmp_path) == first


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("is_dark", [False, True])
def test_a_browser_without_a_network_draws_it(
    site: Site, tmp_path: Path, width: int, is_dark: bool
) -> None:
    if CHROMIUM is None:
        pytest.skip("Chromium is absent")
    text_of(site.layout)
    scheme = ["--blink-settings=preferredColorScheme=0"] if is_dark else []
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", *scheme),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}"),
            *(f"--window-size={width},900", "--virtual-time-budget=20000", "--dump-dom"),
            site.layout.report.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert 'data-drawn="10"' in done.stdout
    assert "data-failed" not in done.stdout
    drawn_page = done.stdout.split("</main>")[0]
    assert drawn_page.count("<svg") == 10
    text_colour = "#e8eaee" if is_dark else "#1c2026"
    assert text_colour in drawn_page.split("<main>")[1]
    drawn = [int(float(found)) for found in re.findall(r'<svg[^>]*? width="([\d.]+)"', drawn_page)]
    assert len(drawn) == 10
    assert max(drawn) <= max(width, 500), "nothing is wider than the screen"
