"""What the report says in words: a sentence or two to each chart, and where there is none to
draw, why."""

from __future__ import annotations

from collections import Counter
from datetime import date

from history_pipeline.report.facts import Facts


def summary(facts: Facts) -> str:
    totals = facts.totals
    if not facts.first_day or not facts.last_day:
        return (
            "Nothing has been asked of the server yet, so there is nothing to show. "
            "history-pipeline backfill --from DAY --to DAY asks it."
        )
    return (
        f"{totals['interactions']:,} interactions of {totals['active_contacts']:,} contacts, "
        f"{_span(facts.first_day, facts.last_day)}; days and hours are those of "
        f"{totals['time_zone']}."
    )


def trust(facts: Facts) -> str:
    """Whether the numbers are complete."""
    totals = facts.totals
    if not totals.get("day_sources"):
        return "No day was asked, so none is complete."
    standings = Counter(each.standing for each in facts.calendar)
    incomplete = totals["day_sources"] - totals["complete_day_sources"]
    told = (
        f"All {totals['day_sources']:,} days asked, counted by source, are complete: every "
        "contact listed was answered for them."
        if not incomplete
        else f"{incomplete:,} of {totals['day_sources']:,} days asked, counted by source, are not "
        "complete: what they show can be too low."
    )
    if standings["unavailable"]:
        told += f" In {standings['unavailable']:,} the server did not offer the source."
    if standings["never asked"]:
        count = standings["never asked"]
        told += f" {_days(count)} between others {'was' if count == 1 else 'were'} never asked."
    return told


def completeness(facts: Facts) -> str:
    """The same source by source; a day is complete when all contacts listed were answered."""
    if not facts.calendar:
        return "No day was asked, so none is complete."
    told = []
    for source in dict.fromkeys(each.source for each in facts.calendar):
        counts = Counter(each.standing for each in facts.calendar if each.source == source)
        standings = ", ".join(f"{_days(count)} {name}" for name, count in counts.most_common())
        told.append(f"{source.capitalize()}: {standings}.")
    return " ".join(told)


def volume(facts: Facts) -> str:
    if not facts.volume:
        return _none(facts, "No interaction began on these days.")
    counts: Counter[str] = Counter()
    for row in facts.volume:
        counts[row["media_type"] or "(empty)"] += row["interactions"]
    total = sum(counts.values())
    largest = ", ".join(f"{name} {count / total:.0%}" for name, count in counts.most_common(3))
    by = "" if facts.grain == "day" else f" A bar is a {facts.grain}."
    return f"When interactions began, by channel: {largest}.{by}"


def backlog(facts: Facts) -> str:
    if not facts.backlog or not facts.totals["interactions"]:
        return _none(facts, "Nothing was open at any day's end.")
    last = facts.backlog[-1]
    age = last["median_age_days"]
    half = "" if age is None else f" Half of these had begun at most {_days(age)} before."
    return (
        f"Interactions that had begun and not ended: {last['open_at_day_end']:,} at the end of "
        f"{last['day']:%d %B %Y}.{half} An end is known as far as the server has shown it, and "
        "what began before the first day asked is not."
    )


def repeats(facts: Facts) -> str:
    if not facts.repeats:
        return _none(facts, "No interaction names a contact.")
    week = [row for row in facts.repeats if row["within_days"] == 7]
    rate = sum(row["repeats"] for row in week) / sum(row["interactions"] for row in week)
    return (
        f"Interactions whose contact had begun another one shortly before: {rate:.1%} within 7 "
        "days. In the first days earlier ones are not known, and rates are too low. 1 minus the "
        "rate is a proxy of first-contact resolution: who did not come again may have given up."
    )


def week(facts: Facts) -> str:
    rows = [row for row in facts.hours if row["average_per_week"]]
    if not rows:
        return _none(facts, "No interaction began on these days.")
    busiest = max(rows, key=lambda row: row["average_per_week"])
    day = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[
        busiest["iso_weekday"] - 1
    ]
    return (
        f"What each hour brings in an average week; the most on {day} from "
        f"{busiest['hour_of_day']}:00, {busiest['average_per_week']:.1f}. Hours that the clocks "
        "skip or repeat are counted as they elapse."
    )


def runs(facts: Facts) -> str:
    if not facts.runs:
        return "No run has ended yet."
    planned = sum(row["planned"] for row in facts.runs)
    failed = sum(row["failed"] for row in facts.runs)
    told = f"The last {len(facts.runs):,} windows" if len(facts.runs) > 1 else "One window"
    return (
        f"{told} asked {planned:,} requests; {failed:,} failed. The newest: {last_run(facts)} "
        "Latency is from a request to its answer on the channel, over the requests of the last 30 "
        "days."
    )


def last_run(facts: Facts) -> str:
    """What the newest window was asked, what came of it, and why what failed did."""
    if not facts.runs:
        return "No run has ended yet."
    run = facts.runs[-1]
    states = " + ".join(
        f"{run[state]:,} {state}" for state in ("answered", "unavailable", "gone", "failed")
    )
    told = (
        f"{_span(run['window_start'], run['window_last'])}: {run['planned']:,} requests = {states}."
    )
    if facts.failures:
        why = "; ".join(
            f"{row['source']}: {row['reason']} ({row['requests']:,})" for row in facts.failures[:5]
        )
        told += f" Failed because: {why}."
    return told


def rejects(facts: Facts) -> str:
    standing = sum(row["standing"] for row in facts.rejects)
    resolved = sum(row["resolved"] for row in facts.rejects)
    if not standing and not resolved:
        return "Every record that came could be read; none is set aside."
    return (
        f"{standing:,} records are set aside because they cannot be read, {resolved:,} more were "
        "read since. They cost their neighbours nothing; history-pipeline rejects lists them."
    )


def attributes(facts: Facts) -> str:
    if not facts.attributes:
        return "No custom attribute is configured, and none came."
    configured = sum(row["is_configured"] for row in facts.attributes)
    others = [row for row in facts.attributes if not row["is_configured"]]
    told = (
        f"{configured:,} custom attributes have a column of their own in "
        "marts.interaction_attributes_wide."
    )
    if others:
        told += (
            f" {len(others):,} more came that are not configured; they are in "
            "staging.stg_gws__interaction_attributes."
        )
    return told


def _none(facts: Facts, otherwise: str) -> str:
    return otherwise if facts.first_day else "Nothing has been asked yet."


def _span(first: date, last: date) -> str:
    if first == last:
        return f"{first:%d %B %Y}"
    return f"{first:%d %B %Y} to {last:%d %B %Y}"


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"
