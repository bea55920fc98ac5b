"""Notices when the server does not live in the zone that it is said to. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from history_pipeline.history.flatten import Flattener

_SUSPICIOUS_SHARE = 0.5
_ENOUGH = 10
_NAMED = 4


def odd_zone(flattener: Flattener, configured: str) -> str | None:
    """A warning where most answers carry offsets that the configured zone does not have then."""
    if flattener.read < _ENOUGH or flattener.odd_offsets < _SUSPICIOUS_SHARE * flattener.read:
        return None
    sample = list(flattener.offset_sample)
    if any(offset for _, offset in sample):
        likely = likely_zones(sample, configured)
        hint = f"the server seems to live in a zone like {' or '.join(likely[:_NAMED])}"
    else:
        hint = "they are all UTC, which some servers write whatever their zone is"
    return (
        f"{flattener.odd_offsets} of {flattener.read} interactions carry an offset that "
        f"GWS_TIMEZONE={configured} does not have at that moment: {hint}"
    )


def likely_zones(sample: list[tuple[int, int]], configured: str) -> list[str]:
    """The zones that explain most of these (seconds since 1970, offset in seconds); where some of
    them lie on the continent of the configured zone, only those."""
    hits = {
        name: sum(offset_at(ZoneInfo(name), moment) == offset for moment, offset in sample)
        for name in known_zones()
    }
    best = [name for name, count in hits.items() if count == max(hits.values())]
    continent = configured.partition("/")[0]
    return [name for name in best if name.startswith(f"{continent}/")] or best


@cache
def known_zones() -> tuple[str, ...]:
    """One name for each set of rules that is in force somewhere today."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zonenow.tab").read_text("utf-8")
    return tuple(
        line.split("\t")[2] for line in table.splitlines() if line and not line.startswith("#")
    )


def offset_at(zone: ZoneInfo, moment: int) -> int:
    """Of a zone at a moment, both in seconds, the moment since 1970."""
    delta = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return int(delta.total_seconds()) if delta is not None else 0
