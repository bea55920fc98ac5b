"""`explain`: the whole way of one interaction, from the request that brought it to the models."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console

from history_pipeline import settings as settings_module
from history_pipeline.cli.display import own_console
from history_pipeline.cli.exits import Exit
from history_pipeline.storage import identity, tracing
from history_pipeline.storage.tracing import Row, Trace


def run_explain(interaction_id: str) -> int:
    """Returns the exit status: that of wrong arguments where nobody has ever seen the id."""
    settings = settings_module.load()
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    console = own_console()
    found = tracing.trace(layout, interaction_id)
    if not found.is_known:
        console.print(
            f"no run has ever seen an interaction {interaction_id!r}: not in {layout.days}, not "
            "among the records set aside. Case matters in ids. `history-pipeline status` shows "
            "which days are complete; one that is has every interaction that the server shows to "
            "the contacts listed.",
            markup=False,
            soft_wrap=True,
        )
        return Exit.CONFIGURATION
    _print(found, console)
    return Exit.COMPLETE


def _print(found: Trace, console: Console) -> None:
    def section(title: str, lines: Iterable[str]) -> None:
        told = list(lines)
        if told:
            console.print(title, style="bold")
            for line in told:
                console.print(f"  {line}", markup=False, soft_wrap=True)

    console.print(f"interaction {found.interaction_id}", style="bold", markup=False)
    section("requests over its day, for its contacts", map(_request, found.requests))
    section("answers that hold it", map(_observation, found.observations))
    section("set aside", map(_reject, found.rejects))
    section("files, and when they were loaded", map(_file, found.files))
    section("certified by", (f"{row['path']} {row['content_hash']}" for row in found.certificates))
    section("versions", map(_version, found.versions))
    section("in the models", (line for row in found.modelled for line in _modelled(row)))
    if not found.modelled and found.observations:
        section("in the models", ["not yet: the next load takes it in"])


def _request(row: Row) -> str:
    came = " ← brought it as it is" if row["gave_row"] else ""
    error = f": {row['error']}" if row["error"] else ""
    return (
        f"run {row['run_id']}  contact {row['contact_id']}, {row['window_start']} to before "
        f"{row['window_end']}, {row['source']}: {row['state']}{error} "
        f"({row['interactions']} interactions, {_times(row['attempts'])}, {row['seconds']:.2f} s, "
        f"{_moment(row['finished_at'])}){came}"
    )


def _observation(row: Row) -> str:
    seen = " and ".join(source for source in ("main", "archive") if row[f"seen_in_{source}"])
    return (
        f"asked for {row['requested_contact_id']}, from {row['source']} (seen in {seen}), naming "
        f"contact {row['contact_id'] or 'none'}; {row['media_type']}, {_moment(row['started_at'])} "
        f"to {_moment(row['ended_at'])}; {row['attributes']} attributes of those asked; "
        f"the same since {_moment(row['unchanged_since'])}, last seen "
        f"{_moment(row['last_seen_at'])}"
    )


def _reject(row: Row) -> str:
    resolved = f", read since ({_moment(row['resolved_at'])})" if row["resolved_at"] else ""
    mentioned = "" if row["is_its_id"] else "a record that mentions it: "
    return (
        f"{mentioned}{row['reason']}: asked for {row['requested_contact_id']}, window of "
        f"{row['window_start']}, {row['source']}, seen {_moment(row['seen_at'])}{resolved}"
    )


def _file(row: Row) -> str:
    loaded = f"loaded {_moment(row['loaded_at'])}" if row["loaded_at"] else "not loaded yet"
    return f"{row['path']} ({row['bytes']:,} bytes), {loaded}"


def _version(row: Row) -> str:
    changed = f", changed: {row['what_changed']}" if row["what_changed"] else ""
    until = _moment(row["seen_until"]) if row["seen_until"] else "now"
    return (
        f"{row['version']}. {_moment(row['seen_from'])} to {until}: {row['state']}, owner "
        f"{row['owner_id'] or 'none'}, contact {row['contact_id'] or 'none'}, "
        f"{'open' if row['ended_at'] is None else 'ended'}, from {row['source']}{changed}"
    )


def _modelled(row: Row) -> list[str]:
    media, type_ = (row[name] if row[name] is not None else "unknown" for name in
                    ("media_type", "type_id"))  # fmt: skip
    lines = [
        f"marts.interactions: {row['day']}, {media}, {type_}, {row['state']}, "
        + ("open" if row["is_open"] else f"{row['duration_seconds']:g} s long")
        + f", {row['attribute_count']} attributes",
        f"marts.daily_channel_volume: {row['day']}, {media}, {type_}",
        f"marts.hourly_volume: hour {row['hour_of_week']} of the week, {media}",
    ]
    if row["contact_id"] is not None:
        before = row["days_since_previous"]
        place = f"number {row['contact_sequence']} of contact {row['contact_id']}"
        after = "" if before is None else f", {before} days after the one before"
        lines.append(f"marts.contacts, marts.repeat_contacts: {place}{after}")
    if row["owner_id"] is not None:
        lines.append(f"marts.owner_daily: {row['owner_id']}, {row['day']}")
    return lines


def _times(attempts: int) -> str:
    return "1 attempt" if attempts == 1 else f"{attempts} attempts"


def _moment(value: Any) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S UTC") if isinstance(value, datetime) else "—"
