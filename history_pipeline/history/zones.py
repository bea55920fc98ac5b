"""Notices when the server does not live in the zone that it is said to. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from history_pipeline.history.flatten import Flattener

_SUSPICIOUS_SHARE = 0.5
_ENOUGH = 10


def odd_zone(flattener: Flattener, configured: str) -> str | None:
    """A warning where most answers carry offsets that the configured zone does not have then."""
    if flattener.read < _ENOUGH or flattener.odd_offsets < _SUSPICIOUS_SHARE * flattener.read:
        return None
    likely = likely_zone(list(flattener.offset_sample))
    hint = f"; the server seems to live in {likely}" if likely else ""
    return (
        f"{flattener.odd_offsets} of {flattener.read} interactions carry an offset that "
        f"GWS_TIMEZONE={configured} does not have at that moment{hint}"
    )


def likely_zone(sample: list[tuple[int, int]]) -> str | None:
    """The zone that explains most of these (seconds since 1970, offset in seconds)."""
    best, best_hits = None, 0
    for name in sorted(available_timezones()):
        if "/" not in name or name.startswith(("Etc/", "posix/", "right/", "SystemV/", "US/")):
            continue
        zone = ZoneInfo(name)
        hits = sum(_offset(zone, moment) == offset for moment, offset in sample)
        if hits > best_hits:
            best, best_hits = name, hits
    return best


def _offset(zone: ZoneInfo, moment: int) -> int:
    delta = datetime.fromtimestamp(moment, UTC).astimezone(zone).utcoffset()
    return int(delta.total_seconds()) if delta is not None else 0
