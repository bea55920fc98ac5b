"""Records of many answers into columns; what cannot be read is set aside. Pure.

Knows the fields of the API's sample and the windows' edges. Does not know files, requests in
flight or which copy of an interaction wins.

A record is set aside when it is no object, has no usable id, or no readable start. Everything
else lands: a field of another type than the sample's is kept as JSON text, a field that the
sample does not have goes to `extra`.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import itertools
import operator
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from history_pipeline.gws import payloads
from history_pipeline.history import columns, instants, records
from history_pipeline.history.instants import Instants, LocalDays, Numbers, Truths
from history_pipeline.history.records import Owner, Reader, Record, Unread
from history_pipeline.model import HistoryRequest, Source
from history_pipeline.storage.schemas import MOMENT, OBSERVATIONS, REJECTS

_OWNER_COLUMNS = {
    "id": "owner_id",
    "userName": "owner_user_name",
    "firstName": "owner_first_name",
    "lastName": "owner_last_name",
}
_TEXT_COLUMNS = {
    "id": "interaction_id",
    "contactId": "contact_id",
    "mediaType": "media_type",
    "typeId": "type_id",
    "state": "state",
    "subject": "subject",
    "uri": "uri",
    "startDate": "started_at_text",
    "endDate": "ended_at_text",
}
_NOBODY = Owner()
_ZONE_SAMPLE = 256
_HOUR = 3_600_000_000
_NO_REJECTS = REJECTS.empty_table()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a request; `records` is a JSON array, `observed_at` in microseconds."""

    request: HistoryRequest
    records: msgspec.Raw
    observed_at: int


@dataclass(frozen=True, slots=True)
class Flattened:
    """Tables OBSERVATIONS and REJECTS, and how many rows each answer has in either."""

    observations: pa.Table
    rejects: pa.Table
    landed: list[int]
    rejected: list[int]


class Flattener:
    """Turns answers into tables. One per run: it remembers the offsets and the fields it met.
    Records of contacts in `forgotten` leave no trace."""

    def __init__(self, zone: ZoneInfo, forgotten: Container[Any] = ()) -> None:
        self._days = LocalDays(zone)
        self._reader = Reader()
        self._forgotten = forgotten
        self.read = 0
        """Records with a readable start, those of other windows included."""
        self.odd_offsets = 0
        self.offset_sample: dict[tuple[int, int], None] = {}

    def flatten(
        self, answers: Sequence[Answered], *, run_at: int, asked: tuple[str, ...]
    ) -> Flattened:
        """All their records; `run_at` in microseconds, `asked` as named in the requests.

        Records whose local day lies outside their answer's window are cut off: they belong to
        another window's answer.
        """
        with _no_collection():
            return self._flatten(answers, run_at, asked)

    def _flatten(
        self, answers: Sequence[Answered], run_at: int, asked: tuple[str, ...]
    ) -> Flattened:
        batch = _Batch(answers, self._reader)
        if self._forgotten:
            contact_ids = batch.field("contactId")
            batch.keep(np.array([each not in self._forgotten for each in contact_ids], np.bool_))
        started = batch.set_unreadable_starts_aside()
        offsets = self._days.offsets(started.micros)
        self._note_offsets(started, offsets)
        days = instants.local_days(started.micros, offsets)
        is_inside = batch.is_inside_its_window(days)
        batch.keep(is_inside)
        is_usable = batch.set_unusable_ids_aside()
        started_at, days = (each[is_inside][is_usable] for each in (started.micros, days))
        return Flattened(
            _observations(batch, started_at, days, run_at, asked),
            batch.reject_table(),
            batch.counts(batch.answer),
            batch.counts(batch.answers_of_rejects),
        )

    def _note_offsets(self, started: Instants, offsets: Numbers) -> None:
        self.read += started.micros.size
        self.odd_offsets += int(np.count_nonzero(started.offsets != offsets))
        if len(self.offset_sample) < _ZONE_SAMPLE:
            hours = (started.micros // _HOUR * 3_600).tolist()
            met = dict.fromkeys(zip(hours, started.offsets.tolist(), strict=True))
            room = _ZONE_SAMPLE - len(self.offset_sample)
            fresh = (each for each in met if each not in self.offset_sample)
            self.offset_sample |= dict.fromkeys(itertools.islice(fresh, room))


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Decoded JSON has no cycles, but looking for them in so many new objects, again and again,
    takes twice as long as decoding it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Batch:
    """The records that are still to land, each with its answer and its place in it."""

    def __init__(self, answers: Sequence[Answered], reader: Reader) -> None:
        self.answers = answers
        self._rejects: list[tuple[int, int, str]] = []
        read = [reader.read(each.records) for each in answers]
        sizes = np.fromiter(map(len, read), np.int64, len(read))
        self.answer = np.repeat(np.arange(len(answers)), sizes)
        self._place = np.arange(self.answer.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.records: list[Any] = list(itertools.chain.from_iterable(read))
        if Unread in set(map(type, self.records)):
            self._set_aside(
                {
                    row: record.reason
                    for row, record in enumerate(self.records)
                    if type(record) is Unread
                }
            )

    def field(self, name: str) -> list[Any]:
        return list(map(operator.attrgetter(name), self.records))

    def keep(self, is_kept: Truths) -> None:
        """Drops all other records."""
        if is_kept.all():
            return
        self.records = list(itertools.compress(self.records, is_kept.tolist()))
        self.answer, self._place = self.answer[is_kept], self._place[is_kept]

    def _set_aside(self, reasons: dict[int, str]) -> Truths:
        """Returns which rows are kept."""
        is_kept = np.ones(len(self.records), np.bool_)
        is_kept[list(reasons)] = False
        for row, reason in reasons.items():
            self._rejects.append((int(self.answer[row]), int(self._place[row]), reason))
        self.keep(is_kept)
        return is_kept

    def set_unreadable_starts_aside(self) -> Instants:
        """When each record that is left started."""
        texts = self.field("startDate")
        found = instants.instants(columns.only_texts(texts))
        if found.is_read.all():
            return found
        unread = np.flatnonzero(~found.is_read).tolist()
        is_kept = self._set_aside({row: f"start_{_reason(texts[row])}" for row in unread})
        return Instants(found.micros[is_kept], found.offsets[is_kept], found.is_read[is_kept])

    def set_unusable_ids_aside(self) -> Truths:
        """Which records are left."""
        ids = self.field("id")
        try:
            if all(map(str.strip, ids)):
                return np.ones(len(ids), np.bool_)
        except TypeError:
            pass  # one is no text
        unusable = [
            row for row, each in enumerate(ids) if type(each) is not str or not each.strip()
        ]
        return self._set_aside(dict.fromkeys(unusable, "no_usable_id"))

    def is_inside_its_window(self, days: Numbers) -> Truths:
        windows = [each.request.window for each in self.answers]
        firsts = np.array([instants.day_number(each.start) for each in windows], np.int64)
        ends = np.array([instants.day_number(each.end) for each in windows], np.int64)
        is_inside: Truths = (firsts[self.answer] <= days) & (days < ends[self.answer])
        return is_inside

    def counts(self, answers: Numbers) -> list[int]:
        """How many rows each answer has, given the answer of each row."""
        counted: list[int] = np.bincount(answers, minlength=len(self.answers)).tolist()
        return counted

    @property
    def answers_of_rejects(self) -> Numbers:
        return np.array([answer for answer, _, _ in self._rejects], np.int64)

    def reject_table(self) -> pa.Table:
        """In the order in which the records came."""
        if not self._rejects:
            return _NO_REJECTS
        apart = {
            answer: payloads.records(self.answers[answer].records)
            for answer in {answer for answer, _, _ in self._rejects}
        }
        rows = [
            _reject(self.answers[answer], apart[answer][place], reason)
            for answer, place, reason in sorted(self._rejects)
        ]
        return pa.table(
            [
                pa.array(each, kind.type)
                for each, kind in zip(zip(*rows, strict=True), REJECTS, strict=True)
            ],
            schema=REJECTS,
        )


def _reason(start: Any) -> str:
    try:
        instants.micros(start)
    except instants.UnreadableTime as exc:
        return exc.reason
    raise AssertionError("unreachable: this start was not read")


def reject_id(contact_id: str, source: Source, payload: str) -> str:
    """The same record set aside again, by whichever run or window, is the same reject. So the
    payload counts by what it says: where a neighbour in the same reply cannot be decoded, it
    comes written anew, with other blanks and escapes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (contact_id, source.value, columns.canonical(payload)):
        encoded = part.encode("utf-8", errors="surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def _reject(answer: Answered, record: msgspec.Raw, reason: str) -> tuple[Any, ...]:
    """One reject, in the order of REJECTS."""
    request = answer.request
    payload = bytes(record).decode("utf-8", errors="backslashreplace")
    return (
        reject_id(request.contact_id, request.source, payload),
        reason,
        request.contact_id,
        request.window.start,
        request.source.value,
        payload,
        answer.observed_at,
    )


def _observations(
    batch: _Batch, started_at: Numbers, days: Numbers, run_at: int, asked: tuple[str, ...]
) -> pa.Table:
    rows = len(batch.records)
    fields = _fields(Record, batch.records)
    owners = _fields(Owner, [each or _NOBODY for each in fields["ownerInformation"]])
    named = [each or {} for each in fields["customAttributes"]]
    arrays: dict[str, Any] = {
        column: columns.texts(values[name])
        for values, names in ((fields, _TEXT_COLUMNS), (owners, _OWNER_COLUMNS))
        for name, column in names.items()
    }
    asked_for = columns.texts([each.request.contact_id for each in batch.answers])
    sources = columns.texts([each.request.source for each in batch.answers])
    observed = pa.array([each.observed_at for each in batch.answers], MOMENT)
    arrays["requested_contact_id"] = asked_for.take(pa.array(batch.answer))
    arrays["source"] = sources.take(pa.array(batch.answer))
    arrays["observed_at"] = observed_at = observed.take(pa.array(batch.answer))
    # an end that cannot be read leaves the interaction open; its text is kept beside it
    ended = instants.instants(columns.only_texts(fields["endDate"]))
    arrays |= {
        "started_at": _moments(started_at),
        "ended_at": _moments(ended.micros, ~ended.is_read),
        "extra": columns.objects(records.rests(batch.records)),
        "window_date": pa.array(days.astype(np.int32)).cast(pa.date32()),
        "attributes": columns.attributes(named),
        "run_at": pa.repeat(pa.scalar(run_at, MOMENT), rows),
        "asked": columns.spoken_of(named, asked),
        "is_own": pc.fill_null(
            pc.equal(arrays["contact_id"], arrays["requested_contact_id"]), False
        ),
        "seen_in_main": pc.equal(arrays["source"], Source.MAIN.value),
        "seen_in_archive": pc.equal(arrays["source"], Source.ARCHIVE.value),
        "first_seen_at": observed_at,
        "last_seen_at": observed_at,
        "contact_seen_at": observed_at,
        "unchanged_since": observed_at,
        "superseded_at": pa.nulls(rows, MOMENT),
    }
    return pa.table([arrays[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)


def _fields(kind: type[msgspec.Struct], structs: list[Any]) -> dict[str, Sequence[Any]]:
    """The values of each field, one a struct."""
    names = kind.__struct_fields__
    # not strict: what has a rest has a field more, at its end
    columns_ = zip(*map(msgspec.structs.astuple, structs), strict=False)
    return dict(zip(names, columns_, strict=False)) if structs else dict.fromkeys(names, ())


def _moments(micros: Numbers, is_null: Truths | None = None) -> pa.TimestampArray:
    return pa.array(micros, pa.int64(), mask=is_null).cast(MOMENT)
