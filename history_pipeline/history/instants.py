"""Times as the server writes them, and the local day that they fall on. Pure.

The form is `2016-03-04 09:15:00.000+0200` (API guide, samples of RetrieveContactHistory): the
offset is part of it, and a text without one names no instant. Texts of just this form are read
all at once by Arrow, unless one of them names no instant; any other one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from history_pipeline.storage.schemas import MOMENT

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
    ends = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    is_usual = np.diff(ends) == len(_FORM)
    if is_usual.all():
        found = _read_usual(texts)
        if found.is_read.all():
            return found
    found = Instants(
        np.zeros(len(texts), np.int64),
        np.zeros(len(texts), np.int64),
        np.zeros(len(texts), np.bool_),
    )
    if is_usual.any():
        read = _read_usual(texts.filter(pa.array(is_usual)))
        found.micros[is_usual] = read.micros
        found.offsets[is_usual] = read.offsets
        found.is_read[is_usual] = read.is_read
    for place in np.flatnonzero(~found.is_read & texts.is_valid().to_numpy(False)).tolist():
        try:
            found.micros[place], found.offsets[place] = micros(texts[place].as_py())
        except UnreadableTime:
            continue
        found.is_read[place] = True
    return found


_FORM = b"0000-00-00 00:00:00.000+0000"
_SIGN = _FORM.index(b"+")


def _read_usual(texts: pa.StringArray) -> Instants:
    """Texts as long as the form. Of those that deviate from it, not all are read."""
    try:
        moments: Numbers = texts.cast(MOMENT).view(pa.int64()).to_numpy()
    except pa.ArrowInvalid:  # one is null or names no instant, and it does not say which
        nothing = np.zeros(len(texts), np.int64)
        return Instants(nothing, nothing, nothing.astype(np.bool_))
    start = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset]
    signs = np.frombuffer(texts.buffers()[2], np.uint8)[start:][: len(texts) * len(_FORM)]
    # where there is a sign before the last four, they are the offset, or Arrow had not read it
    sign, *digits = np.ascontiguousarray(signs.reshape(-1, len(_FORM))[:, _SIGN:].T)
    is_west = sign == ord("-")
    is_read = (is_west | (sign == ord("+"))) & (moments > _EARLIEST) & (moments < _LATEST)
    tens, hours, tens_of_minutes, minutes = (each.astype(np.int64) - ord("0") for each in digits)
    offsets = (tens * 10 + hours) * 3_600 + (tens_of_minutes * 10 + minutes) * 60
    return Instants(moments, np.where(is_west, -offsets, offsets), is_read)


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
        quarters = pa.array(moments // _QUARTER).dictionary_encode()
        met = quarters.dictionary.to_pylist()
        try:
            found = list(map(self._offsets.__getitem__, met))
        except KeyError:
            found = list(map(self._offset, met))
        offsets: Numbers = np.array(found, np.int64)[quarters.indices.to_numpy()]
        return offsets

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
