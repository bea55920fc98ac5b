"""Attempts: what makes a killed run go on where it was.

An attempt is the days, a fingerprint of the configuration, and the contact list frozen at its
start. It is resumed only if it is unfinished, equal and younger than a day. Its directory holds
the frozen list and the parts of windows that are not finished yet. `backfill` works on one for
many windows and holds its lock meanwhile: nobody else goes on with it, or ends it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from history_pipeline.errors import LockTimeout
from history_pipeline.model import Source, Window
from history_pipeline.settings import Settings
from history_pipeline.storage import damage, files, forgotten, locks
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.schemas import FROZEN_CONTACTS, PLAN

LONGEST_LIFE = timedelta(hours=24)
KEPT = timedelta(days=7)
"""How long the parts of a run that did not finish can be looked at."""


_EXEMPT = pa.schema([("contact_id", pa.string()), ("source", pa.string())])


@dataclass(frozen=True, slots=True)
class Planned:
    """What one window asks: every source for these contacts, but for those in `exempt` (columns
    contact_id and source), which were answered before."""

    contact_ids: pa.Array
    exempt: pa.Table

    def requests(self, sources: int) -> int:
        return int(len(self.contact_ids) * sources - self.exempt.num_rows)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at these days. `started_at` is the run's moment: it orders copies of a row."""

    run_id: str
    days: Window
    fingerprint: str
    started_at: datetime
    contacts: int
    is_discovery_complete: bool
    directory: Path
    is_finished: bool = False

    def contact_ids(self) -> pa.Array:
        """The frozen list, sorted, each id once; about 20 bytes a contact."""
        with damage.of_attempt(self.directory):
            table = damage.read(self.directory / "contacts.parquet", schema=FROZEN_CONTACTS)
        return table["contact_id"].combine_chunks()

    @property
    def plan(self) -> Path:
        """There only where the attempt asks less than every source for every contact."""
        return self.directory / "plan.parquet"

    def planned(self, window: Window, sources: tuple[Source, ...]) -> Planned:
        if not self.plan.exists():
            return Planned(self.contact_ids(), _EXEMPT.empty_table())
        rows = self.plan_rows()
        mine = rows.filter(pc.equal(rows["window_start"], pa.scalar(window.start, pa.date32())))
        unique = mine["contact_id"].combine_chunks().unique()
        ids = unique.take(pc.sort_indices(unique))
        exempt = []
        for source in sources:
            asked = mine.filter(pc.equal(mine["source"], source.value))["contact_id"]
            others = ids.filter(pc.invert(pc.is_in(ids, asked.combine_chunks())))
            exempt.append(pa.table([others, pa.repeat(source.value, len(others))], schema=_EXEMPT))
        return Planned(ids, pa.concat_tables(exempt))

    def plan_rows(self) -> pa.Table:
        """Its requests, in the columns PLAN. Call it where there is a plan."""
        with damage.of_attempt(self.directory):
            return damage.read(self.plan, schema=PLAN)

    @property
    def lock(self) -> Path:
        return self.directory / "attempt.lock"

    def window_directory(self, window: Window) -> Path:
        return self.directory / "parts" / f"{window.start.isoformat()}.{window.end.isoformat()}"

    @property
    def started_micros(self) -> int:
        return int(self.started_at.timestamp() * 1_000_000)


def fingerprint(settings: Settings, *, only_rest: bool = False, again_after: str = "") -> str:
    """A digest of all that decides which answers a run gets. `only_rest` tells a run that asks
    for what others have left over, `again_after` one that asks for what was open, beside the run
    that it names."""
    facts = {
        "server": settings.url,
        "zone": settings.timezone,
        "sources": [source.value for source in settings.sources],
        "media_type": settings.media_type,
        "attributes": list(settings.asked_attributes),
        "search": settings.search_attributes,
        "contacts": [settings.contacts, settings.contacts_path],
        **({"full_list": settings.full_list} if settings.full_list else {}),
        "window": settings.window_days,
        "overlap": settings.overlap_days,
        **({"only_rest": True} if only_rest else {}),
        **({"again_after": again_after} if again_after else {}),
    }
    return hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16).hexdigest()


def resumable(
    layout: Layout, days: Window, print_: str, now: datetime, zone: tzinfo = UTC
) -> Attempt | None:
    """The newest attempt that may be gone on with, if there is one: nobody is at work on it.
    Call it with the extraction's lock held, under which attempts find their owners."""
    free = (each for each in _unfinished(layout, days, print_, now, zone) if not _worker(each))
    return max(free, key=_age, default=None)


def known(
    layout: Layout, days: Window, print_: str, now: datetime, zone: tzinfo = UTC
) -> Attempt | None:
    """The same, but raises LockTimeout where another process is at work on the newest one."""
    newest = max(_unfinished(layout, days, print_, now, zone), key=_age, default=None)
    if newest is not None and (worker := _worker(newest)):
        raise LockTimeout(
            f"run {newest.run_id} asks for {days} already: it is under way in {worker}"
        )
    return newest


@contextlib.contextmanager
def at_work(attempt: Attempt) -> Iterator[None]:
    """For the block, nobody else goes on with this attempt or ends it. Enter it with the
    extraction's lock held."""
    with locks.exclusive(attempt.lock, f"backfill of {attempt.days}", 0):
        yield


def _worker(attempt: Attempt) -> str | None:
    return locks.holder(attempt.lock)


def _age(attempt: Attempt) -> datetime:
    return attempt.started_at


def _unfinished(
    layout: Layout, days: Window, print_: str, now: datetime, zone: tzinfo
) -> Iterator[Attempt]:
    """Those that would be gone on with. One that began before its last day had ended in `zone` is
    none: its answers may lack that day's rest."""
    for attempt in every(layout):
        if (
            attempt.days == days
            and attempt.fingerprint == print_
            and not attempt.is_finished
            and attempt.started_at.astimezone(zone).date() >= days.end
            and now - attempt.started_at < LONGEST_LIFE
        ):
            yield attempt


def beside(layout: Layout, print_: str) -> Attempt | None:
    """The attempt with a fingerprint that names the run beside which it asks, finished or not."""
    return next((attempt for attempt in every(layout) if attempt.fingerprint == print_), None)


def by_id(layout: Layout, run_id: str) -> Attempt | None:
    return _read(layout.attempts / run_id)


def new_id(days: Window, print_: str, now: datetime) -> str:
    """What a run is called that begins now."""
    now = now.astimezone(UTC)
    seed = f"{now.isoformat()} {days} {print_}".encode()
    return f"{now:%Y%m%dT%H%M%SZ}-{hashlib.blake2b(seed, digest_size=4).hexdigest()}"


def start(
    layout: Layout,
    days: Window,
    print_: str,
    contact_ids: pa.Array,
    now: datetime,
    *,
    run_id: str | None = None,
    is_discovery_complete: bool = True,
    plan: pa.Table | None = None,
) -> Attempt:
    """A new attempt over a contact list that is frozen with it; with a `plan` (columns PLAN), it
    asks for no more than that. It has the `run_id` under which its discovery was put down."""
    now = now.astimezone(UTC)
    run_id = run_id or new_id(days, print_, now)
    directory = layout.attempts / run_id
    files.make_directory(directory)
    unique = forgotten.read(layout).without(pa.array(contact_ids, pa.string()).unique())
    ordered = unique.take(pc.sort_indices(unique))
    files.replace_table(pa.table([ordered], schema=FROZEN_CONTACTS), directory / "contacts.parquet")
    attempt = Attempt(run_id, days, print_, now, len(ordered), is_discovery_complete, directory)
    if plan is not None:
        known = plan.filter(pc.is_in(plan["contact_id"], ordered))
        files.replace_table(known.cast(PLAN), attempt.plan)
    _write(attempt)
    return attempt


def finish(attempt: Attempt) -> Attempt:
    """From here on the same days are asked anew. What was answered is in the lake by now."""
    done = replace(attempt, is_finished=True)
    _write(done)
    # its lock as well, even if it is held: nobody wants to work on a finished one
    for leftover in ("contacts.parquet", "plan.parquet", "parts", "attempt.lock", "attempt.queue"):
        path = attempt.directory / leftover
        if path.exists():
            files.remove_tree(path)
    return done


def sweep(layout: Layout, now: datetime) -> int:
    """Ends attempts that nobody can go on with any more, and removes their parts; returns how
    many. Their finished windows are in the lake; the others are asked anew. A long backfill can
    be at work on one that is older."""
    stale = [
        attempt
        for attempt in every(layout)
        if not attempt.is_finished and now - attempt.started_at > KEPT and not _worker(attempt)
    ]
    for attempt in stale:
        finish(attempt)
    return len(stale)


def recount(attempt: Attempt) -> Attempt:
    """The frozen list has been changed."""
    contacts = pq.read_metadata(attempt.directory / "contacts.parquet").num_rows
    counted = replace(attempt, contacts=contacts)
    _write(counted)
    return counted


def every(layout: Layout) -> Iterator[Attempt]:
    """All attempts that were ever started here."""
    if layout.attempts.is_dir():
        for directory in sorted(layout.attempts.iterdir()):
            attempt = _read(directory)
            if attempt is not None:
                yield attempt


def _write(attempt: Attempt) -> None:
    files.replace_json(
        {
            "run_id": attempt.run_id,
            "start": attempt.days.start.isoformat(),
            "end": attempt.days.end.isoformat(),
            "fingerprint": attempt.fingerprint,
            "started_at": attempt.started_at.isoformat(),
            "contacts": attempt.contacts,
            "is_discovery_complete": attempt.is_discovery_complete,
            "is_finished": attempt.is_finished,
        },
        attempt.directory / "attempt.json",
    )


def _read(directory: Path) -> Attempt | None:
    """None where the directory holds no attempt yet: killed before its first file was whole."""
    with damage.of_attempt(directory):
        facts: dict[str, Any] | None = files.read_json(directory / "attempt.json")
    if facts is None:
        return None
    return Attempt(
        facts["run_id"],
        Window(date.fromisoformat(facts["start"]), date.fromisoformat(facts["end"])),
        facts["fingerprint"],
        datetime.fromisoformat(facts["started_at"]),
        facts["contacts"],
        facts["is_discovery_complete"],
        directory,
        facts["is_finished"],
    )
