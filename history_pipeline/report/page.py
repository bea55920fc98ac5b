"""The page: words and charts in one HTML file, with the script that draws them inside."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from string import Template

from history_pipeline.report import charts, facts, script, words
from history_pipeline.report.facts import Facts
from history_pipeline.storage import files, locks
from history_pipeline.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class Written:
    path: Path
    size: int
    facts: Facts


def write(layout: Layout, *, server: str, now: datetime) -> Written:
    """Draws what is published now, in place of an earlier page. Raises StorageError."""
    found = facts.read(layout)
    with locks.exclusive(layout.report_lock, "drawing the report", locks.DEADLINE):
        text = render(found, server=server, now=now, drawing=script.source(layout.cache))
        files.replace_text(text, layout.report)
    return Written(layout.report, layout.report.stat().st_size, found)


def render(found: Facts, *, server: str, now: datetime, drawing: str) -> str:
    """The page as text; `drawing` is the script of the chart library."""
    template = Template(
        resources.files("history_pipeline.report").joinpath("page.html").read_text("utf-8")
    )
    specs = charts.all_of(found)
    return template.substitute(
        server=html.escape(server),
        written=f"{now:%d %B %Y, %H:%M} UTC",
        summary=html.escape(words.summary(found)),
        trust=html.escape(words.trust(found)),
        trust_class="good" if _is_whole(found) else "lacking",
        tiles=_tiles(found),
        sections="\n".join(
            _section(title, told, [name for name in specs if _belongs(name, names)])
            for title, told, names in _sections(found)
        ),
        specs=_safe(json.dumps(specs, ensure_ascii=False)),
        drawing=_safe_script(drawing),
    )


def _sections(found: Facts) -> list[tuple[str, str, tuple[str, ...]]]:
    return [
        ("Volume", words.volume(found), ("volume",)),
        ("Backlog", words.backlog(found), ("backlog", "backlog-age")),
        ("Repeat contacts", words.repeats(found), ("repeats",)),
        ("The week", words.week(found), ("week",)),
        ("Completeness", words.completeness(found), ("completeness-",)),
        ("Runs", words.runs(found), ("throughput", "latency")),
        ("Records set aside", words.rejects(found), ("rejects",)),
        ("Custom attributes", words.attributes(found), ()),
    ]


def _belongs(name: str, names: tuple[str, ...]) -> bool:
    return any(name == each or (each.endswith("-") and name.startswith(each)) for each in names)


def _section(title: str, told: str, names: list[str]) -> str:
    figures = "".join(
        f"<figure><figcaption>{html.escape(_caption(name))}</figcaption>"
        f'<div id="{html.escape(name)}" class="chart" role="img" '
        f'aria-label="{html.escape(title)}: {html.escape(_caption(name))}"></div></figure>'
        for name in names
    )
    return f"<section><h2>{html.escape(title)}</h2><p>{html.escape(told)}</p>{figures}</section>"


_CAPTIONS = {
    "volume": "Interactions by day and channel",
    "backlog": "Open at each day's end",
    "backlog-age": "How old that was",
    "repeats": "Share that follow another of their contact",
    "week": "An average week, by hour",
    "throughput": "Requests a second",
    "latency": "Seconds to the answer",
    "rejects": "Records, by reason",
}


def _caption(name: str) -> str:
    return _CAPTIONS.get(name) or f"The server's days, in {name.split('-', 1)[1]}"


def _tiles(found: Facts) -> str:
    totals = found.totals
    told = [
        ("interactions", f"{totals['interactions']:,}"),
        ("contacts", f"{totals['contacts']:,}"),
        ("open", f"{totals['open_interactions']:,}"),
        ("days complete", f"{totals['complete_day_sources']:,} of {totals['day_sources']:,}"),
    ]
    return "".join(
        f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>"
        for name, value in told
    )


def _is_whole(found: Facts) -> bool:
    totals = found.totals
    return bool(totals["day_sources"]) and totals["day_sources"] == totals["complete_day_sources"]


def _safe(text: str) -> str:
    """JSON that no HTML parser takes for markup."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _safe_script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")
