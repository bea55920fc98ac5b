"""The charts, as Vega-Lite specifications: pure functions of the facts.

Colours of text, axes and ground come from the page, which knows whether it is dark; marks have
colours that show on both.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from history_pipeline.report.facts import Facts, Row
from history_pipeline.storage.completeness import Day

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
"""A name only: nothing is fetched from there."""

STANDINGS = {
    "complete": "#2f9e6e",
    "unavailable": "#5b8def",
    "partial": "#e2a32b",
    "never asked": "#8a9099",
}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_ACCENT, _SECOND, _THIRD = "#4c8bf5", "#e0793b", "#b06ad4"
_HEIGHT = 240
_PERIODS = {"day": "Day", "week": "Week from", "month": "Month from"}


def all_of(facts: Facts) -> dict[str, Spec]:
    """Name to specification, in the order of the page; charts without data are left out."""
    found = {
        "volume": volume(facts),
        "backlog": backlog(facts),
        "backlog-age": backlog_age(facts),
        "repeats": repeats(facts),
        "week": week(facts),
        **{f"completeness-{source}": spec for source, spec in completeness(facts)},
        "throughput": throughput(facts),
        "latency": latency(facts),
        "rejects": rejects(facts),
    }
    return {name: spec for name, spec in found.items() if spec}


def volume(facts: Facts) -> Spec:
    """Interactions by period and channel, stacked; the largest channel below."""
    if not facts.volume:
        return {}
    totals: dict[str, int] = {}
    for row in facts.volume:
        totals[row["media_type"]] = totals.get(row["media_type"], 0) + row["interactions"]
    order = sorted(totals, key=lambda name: (-totals[name], name))
    values = [
        {
            "period": _noon(row["period"]),
            "channel": row["media_type"] or "(empty)",
            "interactions": row["interactions"],
            "rank": order.index(row["media_type"]),
        }
        for row in facts.volume
    ]
    return _chart(
        values,
        mark={"type": "bar", "tooltip": True},
        encoding={
            "x": _period(facts.grain),
            "y": {"field": "interactions", "type": "quantitative", "title": "Interactions"},
            "color": {
                "field": "channel",
                "type": "nominal",
                "sort": [name or "(empty)" for name in order],
                "title": None,
            },
            "order": {"field": "rank"},
        },
    )


def backlog(facts: Facts) -> Spec:
    """What was open at the ends of days."""
    values = [{"day": _noon(row["day"]), "open": row["open_at_day_end"]} for row in facts.backlog]
    return _chart(
        values,
        mark=_line_or_point(values, {"type": "area", "line": True, "opacity": 0.35}),
        encoding={
            "x": _day(facts),
            "y": {"field": "open", "type": "quantitative", "title": "Open at the day's end"},
            "color": {"value": _ACCENT},
        },
    )


def backlog_age(facts: Facts) -> Spec:
    """How old that was."""
    values = [
        {"day": _noon(row["day"]), "which": which, "age": row[column]}
        for row in facts.backlog
        for which, column in (("median", "median_age_days"), ("9 in 10", "p90_age_days"))
        if row[column] is not None
    ]
    return _chart(
        values,
        mark=_line_or_point(values, {"type": "line"}),
        encoding={
            "x": _day(facts),
            "y": {"field": "age", "type": "quantitative", "title": "Age in days"},
            "color": _colours("which", {"median": _ACCENT, "9 in 10": _SECOND}),
        },
        height=160,
    )


def repeats(facts: Facts) -> Spec:
    """Share of interactions whose contact had one shortly before."""
    names = {1: "within 1 day", 7: "within 7 days", 30: "within 30 days"}
    values = [
        {
            "period": _noon(row["period"]),
            "span": names[row["within_days"]],
            "rate": round(row["repeat_rate"], 4),
            "repeats": row["repeats"],
            "interactions": row["interactions"],
        }
        for row in facts.repeats
    ]
    return _chart(
        values,
        mark=_line_or_point(values, {"type": "line"}),
        encoding={
            "x": _period(facts.grain),
            "y": {
                "field": "rate",
                "type": "quantitative",
                "title": "Share that follow another",
                "axis": {"format": "%"},
                "scale": {"domainMin": 0},
            },
            "color": _colours(
                "span", dict(zip(names.values(), (_THIRD, _ACCENT, _SECOND), strict=True))
            ),
            "tooltip": [
                _time("period", _PERIODS[facts.grain]),
                {"field": "span", "title": "Repeats"},
                {"field": "rate", "format": ".1%", "title": "Rate"},
                {"field": "repeats"},
                {"field": "interactions"},
            ],
        },
    )


def week(facts: Facts) -> Spec:
    """Hours of the week, by what an average week brings in them."""
    values = [
        {
            "day": WEEKDAYS[row["iso_weekday"] - 1],
            "hour": row["hour_of_day"],
            "average": round(row["average_per_week"], 3),
            "interactions": row["interactions"],
        }
        for row in facts.hours
        if row["average_per_week"] is not None
    ]
    return _chart(
        values,
        mark={"type": "rect"},
        encoding={
            "x": {
                "field": "hour",
                "type": "ordinal",
                "title": "Hour of the day",
                "axis": {"labelAngle": 0, "labelOverlap": True},
            },
            "y": {"field": "day", "type": "ordinal", "sort": list(WEEKDAYS), "title": None},
            "color": {
                "field": "average",
                "type": "quantitative",
                "title": "Interactions an average week",
            },
            "tooltip": [
                {"field": "day", "title": "Weekday"},
                {"field": "hour", "title": "Hour"},
                {"field": "average", "title": "An average week"},
                {"field": "interactions", "title": "In all"},
            ],
        },
        height=190,
    )


def completeness(facts: Facts) -> Iterable[tuple[str, Spec]]:
    """(source, calendar): a line a month, a cell a day."""
    for source in dict.fromkeys(each.source for each in facts.calendar):
        days = [each for each in facts.calendar if each.source == source]
        months = len({(each.day.year, each.day.month) for each in days})
        yield source, _calendar(days, months)


def _calendar(days: list[Day], months: int) -> Spec:
    values = [
        {
            "month": f"{each.day:%Y-%m}",
            "day": each.day.day,
            "date": each.day.isoformat(),
            "standing": each.standing,
        }
        for each in days
    ]
    return _chart(
        values,
        mark={"type": "rect"},
        encoding={
            "x": {
                "field": "day",
                "type": "ordinal",
                "title": None,
                "scale": {"domain": list(range(1, 32)), "paddingInner": 0.12},
                "axis": {"labelAngle": 0, "labelOverlap": True},
            },
            "y": {
                "field": "month",
                "type": "ordinal",
                "title": None,
                "scale": {"paddingInner": 0.12},
            },
            "color": _colours("standing", STANDINGS),
            "tooltip": [
                {"field": "date", "title": "Server's day"},
                {"field": "standing", "title": "Standing"},
            ],
        },
        height=max(24, 18 * months),
    )


_ENDED = {
    "field": "ended",
    "type": "temporal",
    "title": "Asked until",
    "axis": {"format": "%-d %b %H:%M", "labelOverlap": True},
}


def throughput(facts: Facts) -> Spec:
    """Requests a second, by run and window."""
    values = [
        {
            "ended": row["finished_at"].isoformat(),
            "rate": round(row["requests_per_second"], 2),
            "requests": row["planned"],
            "failed": row["failed"],
            "days": f"{row['window_start']} to {row['window_last']}",
        }
        for row in facts.runs
        if row["requests_per_second"] is not None
    ]
    return _chart(
        values,
        mark={"type": "line", "point": True},
        encoding={
            "x": _ENDED,
            "y": {"field": "rate", "type": "quantitative", "title": "Requests a second"},
            "color": {"value": _ACCENT},
            "tooltip": [
                _moment("ended", "Asked until"),
                {"field": "days", "title": "Days asked"},
                {"field": "rate", "title": "Requests a second"},
                {"field": "requests", "title": "Requests"},
                {"field": "failed", "title": "Failed"},
            ],
        },
        height=180,
    )


def latency(facts: Facts) -> Spec:
    """Seconds from a request to its answer, by run and window."""
    values = [
        {"ended": row["finished_at"].isoformat(), "which": which, "seconds": round(seconds, 4)}
        for row in facts.runs
        for which, seconds in (("median", row["p50_seconds"]), ("99 in 100", row["p99_seconds"]))
        if seconds is not None
    ]
    return _chart(
        values,
        mark={"type": "line", "point": True},
        encoding={
            "x": _ENDED,
            "y": {"field": "seconds", "type": "quantitative", "title": "Seconds to the answer"},
            "color": _colours("which", {"median": _ACCENT, "99 in 100": _SECOND}),
            "tooltip": [
                _moment("ended", "Asked until"),
                {"field": "which", "title": "Of the requests"},
                {"field": "seconds", "title": "Seconds"},
            ],
        },
        height=180,
    )


def rejects(facts: Facts) -> Spec:
    """Records set aside, by reason."""
    values = [
        {"reason": row["reason"], "state": state, "records": row[column]}
        for row in facts.rejects
        for state, column in (("still set aside", "standing"), ("read since", "resolved"))
        if row[column]
    ]
    return _chart(
        values,
        mark={"type": "bar", "tooltip": True},
        encoding={
            "y": {
                "field": "reason",
                "type": "nominal",
                "sort": "-x",
                "title": None,
                "axis": {"labelLimit": 180},
            },
            "x": {"field": "records", "type": "quantitative", "title": "Records"},
            "color": _colours("state", {"still set aside": "#d9534f", "read since": "#8a9099"}),
        },
        height=max(60, 28 * len(facts.rejects)),
    )


def _chart(values: list[Row], *, mark: Spec, encoding: Spec, height: int = _HEIGHT) -> Spec:
    """Nothing where there are no values."""
    if not values:
        return {}
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "data": {"values": values},
        "mark": mark,
        "encoding": encoding,
    }


def _line_or_point(values: list[Row], mark: Spec) -> Spec:
    """One day makes no line."""
    is_one = len({row.get("day") or row.get("period") for row in values}) == 1
    return {"type": "point", "filled": True, "size": 80, "tooltip": True} if is_one else {
        **mark, "tooltip": True
    }  # fmt: skip


def _colours(name: str, colours: dict[str, str]) -> Spec:
    return {
        "field": name,
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(colours), "range": list(colours.values())},
    }


def _period(grain: str) -> Spec:
    unit = "yearmonth" if grain == "month" else "yearmonthdate"
    return {**_time("period", _PERIODS[grain]), "timeUnit": unit, "axis": _axis(grain)}


def _day(facts: Facts) -> Spec:
    return {**_time("day", "Day"), "timeUnit": "yearmonthdate", "axis": _axis(facts.grain)}


def _axis(grain: str) -> Spec:
    """Dates, and no times of the day where there are few of them."""
    form = "%b %Y" if grain == "month" else "%-d %b %Y" if grain == "week" else "%-d %b"
    return {"format": form, "labelOverlap": True, "tickMinStep": 24 * 3600 * 1000}


def _time(name: str, title: str) -> Spec:
    return {"field": name, "type": "temporal", "title": title}


def _moment(name: str, title: str) -> Spec:
    return {**_time(name, title), "format": "%Y-%m-%d %H:%M"}


def _noon(day: date) -> str:
    """A day as an instant that lies in it wherever the page is opened."""
    return (datetime(day.year, day.month, day.day) + timedelta(hours=12)).isoformat()  # noqa: DTZ001
