"""What was found, as tables and a chart in docs/performance.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl

from history_pipeline_tests.benchmarks.keeping import Kept, Result
from history_pipeline_tests.benchmarks.races import STEPS

Races = dict[str, Result]
Found = dict[str, Races]

PAGE, CHART = "performance.md", "performance.svg"
NAMES = {
    "bare": "bare loop",
    "step": "history step",
    "undurable": "history step, no parts",
    "whole": "this pipeline",
    "dlt": "dlt, dictionaries",
    "dlt arrow": "dlt, Arrow pages",
}
NONE = "not measured yet"


def tables(kept: Kept, titles: dict[str, list[str]]) -> dict[str, str]:
    """Markdown by the name of its place in the page; only what was measured. `titles` are those of
    each section, in order."""
    found = {section: kept.of(section, names) for section, names in titles.items()}
    made = {"machine": _machine(kept, found), "figures": _figures(found)}
    for section in ("steps", "wholes"):
        if found[section]:
            made[section] = "\n\n".join(_race(*race) for race in found[section].items())
    for section, table in (
        ("disturbed", _disturbed),
        ("models", _models),
        ("daily", _daily),
        ("activity", _activity),
    ):
        if found[section]:
            made[section] = "\n\n".join(table(*each) for each in found[section].items())
    return made


def _machine(kept: Kept, found: Found) -> str:
    turns = "; ".join(f"{machine} ({day})" for machine, day in kept.turns())
    told = f"Measured on {turns}; the server is included."
    for each in found["cores"].values():
        slower = each["beside"] / each["alone"]
        told += f" A plain loop took {slower:.2f} times as long beside a second one as alone."
    return told


# -- figures --------------------------------------------------------------------------------------


def _figures(found: Found) -> str:
    rows = [
        f"| {what} | {asked} | {measured} | {_reached(is_reached)} |"
        for what, asked, measured, is_reached in _measured(found)
    ]
    return "\n".join(["| What | Asked | Measured | |", "|---|---|---|---|", *rows])


def _reached(is_reached: bool | None) -> str:
    return {None: "", True: "reached", False: "**not reached**"}[is_reached]


Figure = tuple[str, str, str, bool | None]


def _measured(found: Found) -> Iterator[Figure]:
    steps, wholes = list(found["steps"].values()), list(found["wholes"].values())
    disturbed, flattening, loading, models, daily = (
        next(iter(found[name].values()), None)
        for name in ("disturbed", "flattening", "loading", "models", "daily")
    )
    for latency, in_flight, least in (
        ("20-60 ms", 64, 0.9),
        ("1-3 ms", 64, 0.5),
        ("200 ms", 8, 0.97),
    ):
        what = f"requests/s of the history step against the bare loop, {in_flight} in flight, {latency}"
        yield _at_least(what, least, _rate_of(_named(steps, latency, in_flight), "step", "bare"))
    for latency, least in (("20-60 ms", 1.2), ("1-3 ms", 2.0)):
        race = _named(wholes, latency, 64)
        what = f"end to end against the best dlt, {latency}"
        yield _at_least(what, least, race and _rate_of(race, "whole", _best_dlt(race)))
    usual = _named(steps, "20-60 ms", 64)
    cpu = usual and _ratio(usual, "step", "bare", "cpu_seconds")
    yield _at_most("CPU per 1,000 requests against the bare loop, 64 in flight, 20-60 ms", 2.0, cpu)
    many = _named(wholes, "20-60 ms", 64)
    peak = many and _ratio(many, "whole", _leanest_dlt(many), "peak_mb")
    yield _at_most("peak memory against the best dlt, 100,000 requests", 0.5, peak)
    grown = (
        many["contenders"]["whole"]["peak_mb"] / usual["contenders"]["whole"]["peak_mb"]
        if many and usual
        else None
    )
    yield _at_most("peak memory at 100,000 requests against 10,000", 1.1, grown)
    lost = usual and _ratio(usual, "step", "undurable", "seconds") - 1
    yield _at_most("durability: time lost to parts and ledger", 0.1, lost)
    more = disturbed and disturbed["killed"]["seconds"] / disturbed["clean"]
    yield _at_most("killed at half-way and run again, against a clean run", 1.1, more)
    yield from _of_flattening(flattening)
    yield from _of_loading(loading)
    yield _at_most("one daily run on an empty day, seconds", 15.0, daily and daily["empty_seconds"])
    yield _at_most(
        "the same with all marts, their tests and the report, seconds",
        25.0,
        daily and daily["empty_seconds"],
    )
    yield from _of_models(models)
    asked = daily and daily["requests_a_source"]
    yield _at_most("requests for a year of a contact, a source", 12.0, asked)
    listed = next(iter(found["activity"].values()), None)
    share = listed and listed["found"]["requests"] / listed["full"]["requests"]
    yield _at_most(
        "requests with `HISTORY_CONTACTS=activity`, 1 % of 100,000 contacts active, of all",
        0.02,
        share,
    )


def _of_flattening(told: Result | None) -> Iterator[Figure]:
    rate = told and told["flattened_per_second"]
    shown = f"{rate:,.0f}" if rate else NONE
    yield "interactions/s flattened on one core", "≥ 150,000", shown, rate and rate >= 150_000  # type: ignore[misc]
    yield _at_least(
        "the same, as a share of plain decoding", 0.12, told and told["share_of_decoding"]
    )


def _of_models(told: Result | None) -> Iterator[Figure]:
    whole = told and told["full"]["run_seconds"]
    yield _at_most("models over 5,000,000 interactions, built anew, seconds", 120.0, whole)
    peak = told and max(told[build]["peak_mb"] for build in ("full", "day")) / 1000
    yield _at_most("memory of dbt meanwhile, GB", 2.0, peak)
    day = told and told["day"]["run_seconds"]
    yield _at_most("models, a day later, seconds", 20.0, day)
    tests = told and told["day"]["test_seconds"]
    yield _at_most("tests of the models, a day later, seconds", 60.0, tests)


def _of_loading(told: Result | None) -> Iterator[Figure]:
    day = told and told["day"]["seconds"]
    yield _at_most("load of a day into 5,000,000 interactions, seconds", 3.0, day)
    peak = told and told["day"]["peak_mb"] / 1000
    yield _at_most("its memory, GB", 1.0, peak)
    share = told and told["first"]["seconds"] / told["plain"]["seconds"]
    yield _at_most(
        "first load of 5,000,000 interactions against a plain `create table as`", 1.6, share
    )
    publishing = told and told["publish"]["seconds"]
    yield _at_most("publishing 5,000,000 interactions, seconds", 5.0, publishing)


def _at_least(what: str, least: float, value: Any) -> Figure:
    return (
        what,
        f"≥ {least:g}",
        NONE if value is None else f"{value:.4g}",
        (None if value is None else bool(value >= least)),
    )


def _at_most(what: str, most: float, value: Any) -> Figure:
    return (
        what,
        f"≤ {most:g}",
        NONE if value is None else f"{value:.4g}",
        (None if value is None else bool(value <= most)),
    )


def _named(found: list[Result], latency: str, in_flight: int) -> Result | None:
    of_it = [each for each in found if (each["latency"], each["in_flight"]) == (latency, in_flight)]
    return of_it[0] if of_it else None


def _rate_of(race: Result | None, name: str, other: str) -> float | None:
    return None if race is None else 1 / _ratio(race, name, other, "seconds")


def _ratio(race: Result, name: str, other: str, what: str) -> float:
    found: dict[str, dict[str, float]] = race["contenders"]
    return found[name][what] / found[other][what]


def _best_dlt(race: Result) -> str:
    return min(("dlt", "dlt arrow"), key=lambda name: race["contenders"][name]["seconds"])


def _leanest_dlt(race: Result) -> str:
    return min(("dlt", "dlt arrow"), key=lambda name: race["contenders"][name]["peak_mb"])


# -- races ----------------------------------------------------------------------------------------


def _race(title: str, race: Result) -> str:
    lines = [
        f"**{title}** ({race['rounds']} rounds; {race['interactions']:,} interactions; at most "
        f"{race['most_in_flight']} in flight at the server, which could have answered "
        f"{race['server_per_second']:,.0f} requests/s{_second_core(race)})",
        "",
        "| | requests/s | interactions/s | CPU s per 1,000 requests | peak MB | written MB "
        "| first row after s |",
        "|---|---|---|---|---|---|---|",
    ]
    # the order of the names: that of a race depends on whether it was read back from the file
    for name in (each for each in NAMES if each in race["contenders"]):
        taken = race["contenders"][name]
        seconds = taken["seconds"]
        lines.append(
            f"| {NAMES[name]} | {race['requests'] / seconds:,.0f} "
            f"| {race['interactions'] / seconds:,.0f} "
            f"| {taken['cpu_seconds'] / race['requests'] * 1000:.2f} "
            f"| {taken['peak_mb']:.0f} | {taken['written_mb']:.1f} "
            f"| {'' if name == 'bare' else round(taken['first_row_seconds'], 1)} |"
        )
    return "\n".join(lines)


def _second_core(race: Result) -> str:
    """How much of it was there; results of earlier versions do not tell."""
    if not (slowdowns := race.get("slowdowns")):
        return ""
    least, most = min(slowdowns), max(slowdowns)
    return f"; a loop took {least:.2f} to {most:.2f} times as long beside a second one as alone"


def _disturbed(title: str, told: Result) -> str:
    clean = told["clean"]
    rows = {
        "a clean run": (clean, ""),
        "killed at half-way, and run to its end": (
            told["killed"]["seconds"],
            f"{told['killed']['asked_twice']:,} requests asked twice",
        ),
        "the same window again, 2 % changed": (
            told["again"]["seconds"],
            f"{told['again']['versions']:,} versions kept",
        ),
        "the server's capacity halved at half-way": (
            told["halved"],
            f"{told['answered_of_halved']:,} answered",
        ),
    }
    lines = [f"**{title}**", "", "| | seconds | of a clean run | |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {seconds:.1f} | {seconds / clean:.2f} | {note} |"
        for name, (seconds, note) in rows.items()
    ]
    return "\n".join(lines)


def _models(title: str, told: Result) -> str:
    lines = [
        f"**{title}** of {told['contacts']:,} contacts, on {told['days']} days. A day later, one "
        f"day is new and the {told['again']} before it were asked again.",
        "",
        "| | models, s | tests, s | peak MB |",
        "|---|---|---|---|",
    ]
    for name, build in (("built anew", "full"), ("a day later", "day")):
        took = told[build]
        lines.append(
            f"| {name} | {took['run_seconds']:.1f} | {took['test_seconds']:.1f} "
            f"| {took['peak_mb']:.0f} |"
        )
    slowest = ", ".join(f"`{name}` {s:.1f} s" for name, s in told["day"]["slowest"].items())
    return "\n".join([*lines, "", f"The slowest models a day later: {slowest}."])


def _daily(title: str, told: Result) -> str:
    return (
        f"`history-pipeline backfill` over {told['days']} days of {told['contacts']:,} contacts, "
        f"into a warehouse of {title}, models, tests and publishing included: "
        f"{told['full_seconds']:.1f} s."
    )


def _activity(title: str, told: Result) -> str:
    found, full = told["found"], told["full"]
    return (
        f"{told['days']} days of {title}, of whom {told['active']:,} were active: "
        f"{found['requests']:,} requests with `HISTORY_CONTACTS=activity`, {found['discovery']:,} of "
        f"them to find out who was active, and {full['requests']:,} where everybody is asked. Both "
        f"end with the same {full['interactions']:,} interactions."
    )


# -- the page -------------------------------------------------------------------------------------


def write(docs: Path, made: dict[str, str], races: Races) -> None:
    """Puts each table between its marks, and draws the races. Raises ValueError where the page has no such marks."""
    path = docs / PAGE
    page = path.read_text()
    for name, text in made.items():
        marks = re.compile(rf"(<!-- measured: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not marks.search(page):
            raise ValueError(f"{path} has no place for {name}")
        page = marks.sub(lambda marked, text=text: f"{marked[1]}\n{text}\n\n{marked[2]}", page)  # type: ignore[misc]
    path.write_text(page)
    if races:
        _draw(list(races.values()), docs / CHART)


def _draw(found: list[Result], path: Path) -> None:
    """Requests a second of every contender, scene by scene."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "history_pipeline"  # the same figures make the same file
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.62 * len(found) + 1.4), layout="constrained")
    height = 0.8 / len(STEPS)
    for number, name in enumerate(STEPS):
        its = {place: race for place, race in enumerate(found) if name in race["contenders"]}
        rates = [race["requests"] / race["contenders"][name]["seconds"] for race in its.values()]
        axes.barh([place + number * height for place in its], rates, height, label=NAMES[name])
    axes.set_yticks(
        [place + 0.4 - height / 2 for place in range(len(found))],
        [f"{race['in_flight']} in flight, {race['latency']}" for race in found],
    )
    axes.invert_yaxis()
    axes.set_xlabel("requests per second")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
