"""What the UI shows of an extraction: counts, times and ids, never a customer's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from history_pipeline.defs import partitions
from history_pipeline.history.extraction import Extraction
from history_pipeline.model import RequestState, Source, Window
from history_pipeline.storage.certificates import Certificate
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.preview import preview_frame

_PREVIEW = dg.TableSchema(
    columns=[
        dg.TableColumn("interaction_id", description="The server's id of the interaction."),
        dg.TableColumn("media_type", description="Channel, in lower case."),
        dg.TableColumn("source", description="main or archive; an interaction may be in both."),
        dg.TableColumn("started_at", description="Start, in UTC."),
        dg.TableColumn("ended_at", description="End, in UTC; empty while the server shows none."),
    ]
)


def requests(extraction: Extraction, window: Window) -> dict[str, Any]:
    """What was asked for these days together, and what came of it."""
    account = extraction.account
    rate = account.asked / account.seconds if account.seconds else 0.0
    counts = states(extraction)
    latencies = {f"latency p{n} (s)": account.latencies.quantile(n / 100) for n in (50, 99)}
    return {
        "days asked together": days(window),
        "requests planned": sum(counts.values()),
        **{f"requests {state.value}": count for state, count in counts.items()},
        "interactions in the answers": sum(
            a.interactions for _, e in extraction.windows for a in e
        ),
        "rejects in the answers": sum(a.rejects for _, each in extraction.windows for a in each),
        "retries": account.retries,
        "requests asked in parts": extraction.findings.parted,
        "requests audited": extraction.findings.audited,
        "requests a second": round(rate, 1),
        **{name: round(value, 3) for name, value in latencies.items() if value is not None},
        **({"limit in flight": str(extraction.limits)} if extraction.limits else {}),
        "run_id in raw_gws": extraction.run_id,
        **again(extraction),
        **reasons(extraction),
        **({"warnings": "; ".join(extraction.warnings)} if extraction.warnings else {}),
    }


def tell(log: dg.DagsterLogManager, extraction: Extraction, window: Window) -> None:
    """One line for a run's page: what was asked, what came, what failed and why."""
    counts = states(extraction)
    account = extraction.account
    found = requests(extraction, window)
    line = (
        f"{days(window)}: {sum(counts.values()):,} requests = "
        + " + ".join(f"{count:,} {state.value}" for state, count in counts.items())
        + f"; {found['interactions in the answers']:,} interactions came, "
        f"{found['rejects in the answers']:,} records were set aside"
    )
    if extraction.limits is not None:
        line += f"; limit of requests in flight: {extraction.limits}"
    if not counts[RequestState.FAILED]:
        log.info(line)
        return
    why = "; ".join(f"{reason} ({n:,})" for reason, n in account.errors.most_common(5))
    log.warning(f"{line}; failed because: {why}")


def again(extraction: Extraction) -> dict[str, Any]:
    """What was open and asked again beside these days; nothing where none of it was looked for.
    A run that was gone on with does not know how many were due."""
    told = extraction.again
    if told is None:
        return {}
    counts = {
        "open interactions due": told.due,
        "open interactions asked again": told.asked_about,
        "open interactions that have ended": told.closed,
        "open interactions left to the next run": told.left,
        "requests to ask them again": told.requests,
        "requests to ask them again that failed": told.failed,
        "run_id of these in raw_gws": told.run_id,
    }
    return {name: count for name, count in counts.items() if count is not None}


def tell_again(log: dg.DagsterLogManager, extraction: Extraction) -> None:
    """One line more, where anything was due."""
    told = extraction.again
    if told is None or not (told.due or told.requests):
        return
    due = "" if told.due is None else f"{told.due:,} due, "
    left = f", {told.left:,} left to the next run" if told.left else ""
    line = (
        f"open interactions of earlier days: {due}{told.asked_about:,} asked again with "
        f"{told.requests:,} requests, {told.closed:,} have ended{left}"
    )
    if told.failed:
        log.warning(f"{line}; {told.failed:,} of these requests failed, and come again")
    else:
        log.info(line)


def days(window: Window) -> str:
    """Which days, and whose: they are cut in the server's zone."""
    count = "1 day" if window.days == 1 else f"{window.days} days"
    return f"{window} ({count} in {partitions.days.timezone})"


def reasons(extraction: Extraction) -> dict[str, Any]:
    """Why requests failed, with how often; nothing where none did."""
    return counted("reasons of failure", "requests", dict(extraction.account.errors.most_common()))


def counted(label: str, of: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """A table of reasons, with how many `of` what each has; nothing where there are none."""
    records = [dg.TableRecord({"reason": reason, of: n}) for reason, n in counts.items()]
    return {label: dg.MetadataValue.table(records)} if records else {}


def remedy(passed: bool, what_to_do: str, where_to_look: str = "") -> dict[str, str]:
    """What a check that failed says beside its counts; nothing where it passed."""
    look = {"where to look": where_to_look} if where_to_look else {}
    return {} if passed else {"what to do": what_to_do, **look}


_CERTIFIED = 12


def certificates(given: Sequence[Certificate]) -> dict[str, Any]:
    """What the runs that were just loaded can show for themselves; of many, the last ones."""
    records = [
        dg.TableRecord(
            {
                "run_id": each.run_id,
                "days": str(Window(each.window_start, each.window_end)),
                "planned": each.planned,
                "answered": each.answered,
                "failed": each.failed,
                "interactions": each.interactions,
                "content_hash": each.content_hash,
            }
        )
        for each in given[-_CERTIFIED:]
    ]
    return {"certificates": dg.MetadataValue.table(records)} if records else {}


def states(extraction: Extraction) -> dict[RequestState, int]:
    accounts = [account for _, each in extraction.windows for account in each]
    return {state: sum(account.states[state] for account in accounts) for state in RequestState}


def unavailable(extraction: Extraction) -> dict[Source, int]:
    """Requests of each source that was asked which the server does not offer."""
    accounts = [account for _, each in extraction.windows for account in each]
    return {
        source: sum(a.states[RequestState.UNAVAILABLE] for a in accounts if a.source is source)
        for source in Source
        if any(a.source is source for a in accounts)
    }


def day(layout: Layout, day_: date, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the lake holds of one day, whichever run brought it: how many interactions, and the
    latest ids, media types and times. Between them stands what was asked together with it."""
    frame = preview_frame(layout, Window(day_, day_ + timedelta(days=1)))
    records = [
        dg.TableRecord({name: _text(value) for name, value in row.items()})
        for row in frame.to_dict("records")
    ]
    return {
        "interactions of this day": _interactions(layout.day(day_)),
        **asked,
        "preview": dg.MetadataValue.table(records, _PREVIEW) if records else "no interactions",
    }


def _text(value: Any) -> str:
    if isinstance(value, datetime):  # pandas' NaT is one too: still open
        return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value == value else ""  # noqa: PLR0124
    return str(value)


def _interactions(day_file: Path) -> int:
    """One that both sources hold has two rows in the lake."""
    if not day_file.exists():
        return 0
    ids = pq.read_table(day_file, columns=["interaction_id"])["interaction_id"]
    return len(ids.unique())
