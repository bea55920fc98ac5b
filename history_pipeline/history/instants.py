"""Times as the server writes them, and the local day that they fall on. Pure.

The form is `2016-03-04 09:15:00.000+0200` (API guide, samples of RetrieveContactHistory): the
offset is part of it, and a text without one names no instant. Texts of just this form are read
all at once, any other one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_MICRO = timedelta(microseconds=1)
_SECOND = 1_000_000
_QUARTER = 900 * _SECOND
_KEEP_OFFSETS = 20_000
_EARLIEST = (-62_135_596_800 + 2 * 86_400) * _SECOND
_LATEST = (253_402_300_799 - 2 * 86_400) * _SECOND

Numbers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]


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
    since = (moment - _EPOCH) // _MICRO
    if not _EARLIEST < since < _LATEST:
        raise UnreadableTime("out_of_range")
    return since, int(offset.total_seconds())


@dataclass(frozen=True, slots=True)
class Instants:
    """What `micros` gives, of many texts; neither says anything where `is_read` is not."""

    micros: Numbers
    offsets: Numbers
    is_read: Truths


def instants(texts: pa.StringArray) -> Instants:
    """Reads every text; null is no instant."""
    texts_ = texts.fill_null("")
    ends = np.frombuffer(texts_.buffers()[1], np.int32)[texts_.offset :][: len(texts_) + 1]
    usual = np.flatnonzero(np.diff(ends) == len(_FORM))
    found = Instants(
        np.zeros(len(texts_), np.int64),
        np.zeros(len(texts_), np.int64),
        np.zeros(len(texts_), np.bool_),
    )
    if usual.size:
        bytes_ = np.frombuffer(texts_.buffers()[2], np.uint8)
        if ends[-1] - ends[0] == usual.size * len(_FORM):
            of_usual = bytes_[ends[0] : ends[-1]].reshape(usual.size, len(_FORM))
        else:
            of_usual = bytes_[ends[usual, None] + np.arange(len(_FORM), dtype=np.int32)]
        found.micros[usual], found.offsets[usual], found.is_read[usual] = _read_usual(of_usual)
    for place in np.flatnonzero(~found.is_read & texts.is_valid().to_numpy(False)).tolist():
        try:
            found.micros[place], found.offsets[place] = micros(texts[place].as_py())
        except UnreadableTime:
            continue
        found.is_read[place] = True
    return found


_FORM = b"0000-00-00 00:00:00.000+0000"
_SIGN = _FORM.index(b"+")
_DIGITS = [place for place, sign in enumerate(_FORM) if sign == ord("0")]
_MARKS = [place for place, sign in enumerate(_FORM) if sign != ord("0") and place != _SIGN]
_FIRST_YEAR, _LAST_YEAR = 1800, 2200


def _read_usual(texts: npt.NDArray[np.uint8]) -> tuple[Numbers, Numbers, Truths]:
    """Texts as long as the form, one a row. What deviates from it in any way is not read."""
    signs = np.ascontiguousarray(texts.T)
    digits = signs - np.uint8(ord("0"))
    is_read = (digits[_DIGITS] <= 9).all(axis=0)
    is_read &= (signs[_MARKS] == np.frombuffer(_FORM, np.uint8)[_MARKS, None]).all(axis=0)
    is_east, is_west = signs[_SIGN] == ord("+"), signs[_SIGN] == ord("-")
    is_read &= is_east | is_west

    def number(start: int, end: int) -> Numbers:
        total: Numbers = digits[start].astype(np.int64)
        for place in range(start + 1, end):
            total = total * 10 + digits[place]
        return total

    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    hour, minute, second, milli = number(11, 13), number(14, 16), number(17, 19), number(20, 23)
    offset_hour, offset_minute = number(24, 26), number(26, 28)
    is_read &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR) & (month >= 1) & (month <= 12)
    is_read &= (hour < 24) & (minute < 60) & (second < 60)
    is_read &= (offset_hour < 24) & (offset_minute < 60)
    months = np.where(is_read, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    is_read &= (day >= 1) & (day <= length)
    offsets = np.where(is_west, -1, 1) * (offset_hour * 3_600 + offset_minute * 60)
    seconds = (first.astype(np.int64) + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second
    return (seconds - offsets) * _SECOND + milli * 1_000, offsets, is_read


class LocalDays:
    """Turns instants into the zone's days, as ordinals of 1970-01-01 = 0 (Arrow's date32).

    Remembers the zone's offset for each quarter of an hour it met: no zone changes its clocks
    at another moment, and asking zoneinfo for each record is what takes the time.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[int, int] = {}

    def offsets(self, moments: Numbers) -> Numbers:
        """The zone's offset in seconds at each instant (microseconds)."""
        quarters, places = np.unique(moments // _QUARTER, return_inverse=True)
        found = map(self._offset, quarters.tolist())
        return np.fromiter(found, np.int64, quarters.size)[places]

    def _offset(self, quarter: int) -> int:
        found = self._offsets.get(quarter)
        if found is None:
            at = datetime.fromtimestamp(quarter * _QUARTER // _SECOND, UTC).astimezone(self._zone)
            delta = at.utcoffset()
            found = int(delta.total_seconds()) if delta is not None else 0
            if len(self._offsets) >= _KEEP_OFFSETS:
                self._offsets.clear()
            self._offsets[quarter] = found
        return found


def local_day(moment: int, zone: ZoneInfo) -> date:
    """The local day of a moment in seconds since 1970."""
    return datetime.fromtimestamp(moment, zone).date()


def local_days(moments: Numbers, offsets: Numbers) -> Numbers:
    """The local days of instants (microseconds), given the zone's offsets then."""
    days: Numbers = (moments // _SECOND + offsets) // 86_400
    return days


def day_number(day: date) -> int:
    """Arrow's date32 of a day."""
    return day.toordinal() - _EPOCH_ORDINAL
