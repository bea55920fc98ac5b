"""Whether an answer is all there is: those that may be cut are asked for again in parts, and a
small share of the others as well, the other way round, to see whether the server keeps its word.

Knows which lengths are suspect (`lengths`), how parts are asked for (`parting`), and what an audit
compares. Does not know attempts, nor what becomes of a request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from history_pipeline.gws import payloads
from history_pipeline.gws.inquiry import Answer
from history_pipeline.gws.wire import Filter
from history_pipeline.history.lengths import LEAST, Lengths
from history_pipeline.history.parting import Ask, Part, Parting, Records
from history_pipeline.model import HistoryRequest, Source, Window

_OF_THE_LONGEST = 2
"""Audits that are kept for a window's longest answers, one of each source."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What an answer came to: all records that were seen, and whether that is proven to be all.

    `length` is how many an answer had that was taken as it came; None for one that was looked
    into. `doubtful` are contacts whose earlier answers now look cut, of the same source."""

    records: Answer
    length: int | None
    is_whole: bool = True
    doubtful: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """How many requests were asked in parts, audited, and came otherwise the other way round."""

    parted: int = 0
    audited: int = 0
    disagreed: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Scrutiny:
    """Looks at every answer of a run, window by window. `share` of the requests is audited, those
    that `seed` draws: none in a window with too few for one."""

    share: float = 0.0
    seed: str = ""
    findings: Findings = field(default_factory=Findings)
    _lengths: dict[Source, Lengths] = field(
        default_factory=lambda: {source: Lengths() for source in Source}
    )
    _audits: int = 0
    _doubted: set[HistoryRequest] = field(default_factory=set)
    _digests: dict[tuple[Window, str], hashlib.blake2b] = field(default_factory=dict)
    """Begun with what is the same for all requests of a window: there are many."""
    _past: dict[tuple[Source, int], list[Window]] = field(default_factory=dict)
    """Windows that are over, by the lengths that were their longest and were taken as they came."""

    def begin(self, planned: int, taken: Iterable[tuple[Source, str, int]] = ()) -> None:
        """A window of so many requests begins. `taken` are the lengths of answers that a killed
        try at it has taken as they came."""
        self.findings = Findings()
        self._audits = int(self.share * planned)
        self._doubted.clear()
        for lengths in self._lengths.values():
            lengths.begin()
        for source, contact_id, length in taken:
            self._lengths[source].take(contact_id, length)

    def longest(self, window: Window) -> list[HistoryRequest]:
        """Requests of this window, which has been asked through, that are to be asked again: their
        answers were the longest, and nobody has looked into such a one. Where there are two of
        them, or an earlier window has had one, that is a limit's mark; a single one is a part of
        the audit."""
        requests = []
        for source, lengths in self._lengths.items():
            if not (unproven := lengths.unproven()):
                continue
            comes_again = len(unproven) > 1 or (source, lengths.longest) in self._past
            if comes_again or self._audits >= _OF_THE_LONGEST:
                self.findings.audited += not comes_again
                requests.append(HistoryRequest(unproven[0], window, source))
            else:
                self._past.setdefault((source, lengths.longest), []).append(window)
        self._doubted.update(requests)
        return requests

    async def look(
        self, request: HistoryRequest, criteria: Filter, answer: Answer, ask: Ask
    ) -> Looked:
        """All of what was asked for, as far as it can be had. Raises what `ask` raises."""
        lengths = self._lengths[request.source]
        length = 0 if payloads.is_shorter(answer, LEAST) else payloads.count(answer)
        if lengths.is_suspect(length) or (self._doubted and request in self._doubted):
            self.findings.parted += 1
            return await self._part(request, _as_sent(request, criteria), answer, length, ask)
        if self._is_drawn(request):
            whole = _as_sent(request, criteria)
            self._audits -= 1
            self.findings.audited += 1
            if (found := await self._audit(request, whole, answer, ask)) is not None:
                self.findings.disagreed += 1
                length = payloads.count(answer)
                looked = await self._part(request, whole, answer, length, ask)
                return replace(looked, records=_together(found, looked.records))
        lengths.take(request.contact_id, length)
        return Looked(answer, length)

    async def _part(
        self, request: HistoryRequest, whole: Part, answer: Answer, length: int, ask: Ask
    ) -> Looked:
        lengths = self._lengths[request.source]

        def may_be_cut(n: int) -> bool:
            # what is shorter than an answer that came is not as long as the server lets them be
            return n == length or (n > length and lengths.is_suspect(n))

        parting = Parting(ask, whole, may_be_cut)
        await parting.go_through(answer)
        first = payloads.by_identity(answer)
        is_whole = parting.is_whole
        if missing := first.keys() - parting.records.keys():
            # moved to another source meanwhile, or left out by the parts
            is_whole &= not missing & payloads.by_identity(await ask(whole)).keys()
        doubtful: list[str] = []
        if parting.records.keys() <= first.keys() and is_whole:
            lengths.was_whole(length)
        else:
            doubtful = [each for each in lengths.was_cut(length) if each != request.contact_id]
            for window in self._past.pop((request.source, length), ()):
                self.findings.warnings.append(
                    f"the server cuts answers of {length} records ({request.source}); {window} was "
                    "asked before that was seen: ask for these days again"
                )
        return Looked(_answer(first | parting.records), None, is_whole, tuple(doubtful))

    async def _audit(
        self, request: HistoryRequest, whole: Part, answer: Answer, ask: Ask
    ) -> Answer | None:
        """What the server shows the other way round, if that is more."""
        if self._number(request, "way") < 0.5 and whole.first < whole.last:
            # two halves, whatever their lengths
            parting = Parting(ask, whole, lambda n: False)
            await parting.go_through(answer)
            other = parting.records
        else:
            other = payloads.by_identity(await ask(replace(whole, is_descending=True)))
        return _answer(other) if other.keys() - payloads.by_identity(answer).keys() else None

    def _is_drawn(self, request: HistoryRequest) -> bool:
        return self._audits > _OF_THE_LONGEST and self._number(request, "audit") < self.share

    def _number(self, request: HistoryRequest, purpose: str) -> float:
        """From 0 to 1: the same for the same request of the same run, so that a killed run goes
        on with the same audits."""
        digest = self._digests.get((request.window, purpose))
        if digest is None:
            told = "\0".join((self.seed, purpose, str(request.window), ""))
            digest = hashlib.blake2b(told.encode(), digest_size=8)
            self._digests[request.window, purpose] = digest
        digest = digest.copy()
        digest.update(f"{request.source}\0{request.contact_id}".encode(errors="surrogatepass"))
        return int.from_bytes(digest.digest()) / 2**64


def _as_sent(request: HistoryRequest, criteria: Filter) -> Part:
    overlap = timedelta(days=criteria.overlap_days)
    window = request.window
    return Part(window.start - overlap, window.last + overlap, criteria.media_type)


def _answer(records: Records) -> Answer:
    return payloads.array(list(records.values()))


def _together(first: Answer, second: Answer) -> Answer:
    return _answer(payloads.by_identity(first) | payloads.by_identity(second))
