"""`forget`: one contact is removed from everything below the data directory, for good."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from history_pipeline import settings as settings_module
from history_pipeline.cli.display import own_console, quiet
from history_pipeline.cli.exits import Exit
from history_pipeline.errors import ConfigurationError
from history_pipeline.storage import (
    files,
    forgetting,
    forgotten,
    identity,
    locks,
    publishing,
    warehouse,
)
from history_pipeline.storage.layout import Layout


def run_forget(contact_id: str) -> int:
    """Returns the exit status; raises PipelineError. Broken off, the same command goes on."""
    console = own_console()
    settings = settings_module.load()
    if not contact_id.strip():
        raise ConfigurationError("the contact id is blank; give the id of the contact to forget")
    layout = identity.open_data_dir(settings.data_dir, server=settings.url, zone=settings.timezone)
    publishing.check_target(layout)
    now = datetime.now(UTC)
    with locks.exclusive(layout.extraction_lock, "forgetting a contact", locks.DEADLINE):
        receipt = forgetting.forget(layout, contact_id)
        warehouse.rebuild(layout, now)
        from history_pipeline.defs import home, models, redaction

        prepared = home.prepare(layout)
        with quiet():
            models.publish(layout, settings)
    told = dict(receipt.removed)
    if prepared == layout.dagster_home:
        told["values in Dagster's history"] = redaction.redact(
            prepared, receipt.interaction_ids | {contact_id}
        )
    else:
        console.print(
            f"Dagster's own home at {prepared} may show ids still; it is not ours to change"
        )
    for place, rows in sorted(told.items()):
        console.print(f"removed from {place}: {rows}")
    if not receipt.removed:
        console.print("nothing of this contact was there; no later run will bring it in")
    console.print("the warehouse and the published file were made anew without the contact")
    console.print(f"receipt: {_keep(layout, contact_id, told, now)}")
    return Exit.COMPLETE


def _keep(layout: Layout, contact_id: str, told: dict[str, int], now: datetime) -> Path:
    """The receipt names the contact by its keyed hash alone."""
    path = layout.receipts / f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.json"
    digest = forgotten.read(layout).digest(contact_id)
    files.replace_json(
        {"forgotten_at": now.isoformat(), "contact_digest": digest, "removed": told}, path
    )
    return path
