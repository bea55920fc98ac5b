"""Times as the server writes them, and the local day that they fall on. Pure.

The form is `2016-03-04 09:15:00.000+0200` (API guide, samples of RetrieveContactHistory): the
offset is part of it, and a text without one names no instant.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_QUARTER = 900
_KEEP_OFFSETS = 20_000
_EARLIEST, _LATEST = -62_135_596_800 + 2 * 86_400, 253_402_300_799 - 2 * 86_400


class UnreadableTime(ValueError):
    """A text that names no instant; `reason` is a word for the ledger, never the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def micros(text: Any) -> tuple[int, int]:
    """Microseconds since 1970 in UTC, and the text's own offset in seconds."""
    if type(text) is not str:
        raise UnreadableTime("missing" if text is None else "not_text")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableTime("unreadable") from None
    offset = moment.utcoffset()
    if offset is None:
        raise UnreadableTime("without_offset")
    seconds = moment.timestamp()
    if not _EARLIEST < seconds < _LATEST:
        raise UnreadableTime("out_of_range")
    return round(seconds * 1_000_000), int(offset.total_seconds())


class LocalDays:
    """Turns instants into the zone's days, as ordinals of 1970-01-01 = 0 (Arrow's date32).

    Remembers the zone's offset for each quarter of an hour it met: no zone changes its clocks
    at another moment, and asking zoneinfo for each record is what takes the time.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[int, int] = {}

    def offset(self, moment: int) -> int:
        """The zone's offset in seconds at this instant (microseconds)."""
        quarter = moment // 1_000_000 // _QUARTER
        found = self._offsets.get(quarter)
        if found is None:
            at = datetime.fromtimestamp(quarter * _QUARTER, UTC).astimezone(self._zone)
            delta = at.utcoffset()
            found = int(delta.total_seconds()) if delta is not None else 0
            if len(self._offsets) >= _KEEP_OFFSETS:
                self._offsets.clear()
            self._offsets[quarter] = found
        return found

    def day(self, moment: int) -> int:
        return (moment // 1_000_000 + self.offset(moment)) // 86_400


def day_number(day: date) -> int:
    """Arrow's date32 of a day."""
    return day.toordinal() - _EPOCH_ORDINAL
