"""`rejects`: what was set aside, by reason; and, when asked to, read again."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from history_pipeline import settings as settings_module
from history_pipeline.cli.display import own_console, quiet
from history_pipeline.cli.exits import Exit
from history_pipeline.history.replay import replay
from history_pipeline.settings import Settings
from history_pipeline.storage import identity, locks, publishing, set_aside, warehouse
from history_pipeline.storage.layout import Layout


def run_rejects(*, to_replay: bool) -> int:
    """Returns the exit status; raises PipelineError."""
    console = own_console()
    settings = settings_module.load()
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    if to_replay:
        _replay(settings, layout, console)
    else:
        _show(layout, console)
    return Exit.COMPLETE


def _show(layout: Layout, console: Console) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    contacts: dict[tuple[str, str], set[str]] = {}
    seen: set[str] = set()
    for window in set_aside.unresolved(layout):
        for row in window.rows.select(
            ["reject_id", "reason", "source", "requested_contact_id"]
        ).to_pylist():
            if row["reject_id"] in seen:
                continue
            seen.add(row["reject_id"])
            kind = (row["reason"], row["source"])
            counts[kind] += 1
            contacts.setdefault(kind, set()).add(row["requested_contact_id"])
    if not counts:
        console.print("no records are set aside")
        return
    table = Table("reason", "source", "records", "contacts")
    for (reason, source), records in counts.most_common():
        table.add_row(reason, source, f"{records:,}", f"{len(contacts[reason, source]):,}")
    console.print(table)
    console.print(
        "the records themselves: select * from raw_gws.rejects where resolved_at is null\n"
        "to read them again, after an update: history-pipeline rejects --replay"
    )


def _replay(settings: Settings, layout: Layout, console: Console) -> None:
    publishing.check_target(layout)
    now = datetime.now(UTC)
    with locks.exclusive(layout.extraction_lock, "replaying rejects", locks.DEADLINE):
        done = replay(settings, layout, now)
        console.print(
            f"{done.records} records read again: {done.landed} landed, "
            f"{done.records - len(done.resolved)} stay set aside"
        )
        if not done.resolved:
            return
        warehouse.load(layout, now)
        from history_pipeline.defs import home, models

        home.prepare(layout)
        with quiet():
            published = models.publish(layout, settings)
    console.print(f"published: {published.path}")
