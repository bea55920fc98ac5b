"""Which lengths of answers look like cuts. Pure.

RetrieveContactHistory has no page size, and whether a server cuts its answers is not documented.
One that does cuts them all at the same number, and returns nothing longer. So a length is suspect
that is round, or that comes again and again, while nothing longer was seen. Lengths are of one
source and one run. Does not know how an answer is looked into.
"""

from __future__ import annotations

from collections import Counter

LEAST = 10
"""Records: shorter answers are no servers' limit, and come again all the time."""

_ROUND = 50
_AGAIN_AND_AGAIN = 2
"""So many answers of a length were taken as they came before the next one is looked into. Earlier
ones often have the same length by chance, until a longer one comes."""

_ENOUGH = 3
"""So many answers of a length were whole, and none was cut: there are just many of it."""


class Lengths:
    """What is known of one source's answers. `longest` is how many records the longest has;
    `cuts` are the lengths at which the server was seen to cut."""

    def __init__(self) -> None:
        self.longest = 0
        self.cuts: set[int] = set()
        self._taken: list[str] = []
        self._whole: Counter[int] = Counter()

    def begin(self) -> None:
        """Another window: who is asked again is asked for its days."""
        self._taken = []

    def is_suspect(self, length: int) -> bool:
        """Whether an answer of so many records has to be looked into."""
        if length < max(LEAST, self.longest):
            return False  # a longer one has come: the server does not cut at so few
        if length in self.cuts:
            return True
        if self._whole[length] >= _ENOUGH:
            return False
        comes_again = length == self.longest and len(self._taken) >= _AGAIN_AND_AGAIN
        return _is_round(length) or comes_again

    def take(self, contact_id: str, length: int) -> None:
        """This contact's answer was taken as it came."""
        self._saw(length)
        if length == self.longest >= LEAST:
            self._taken.append(contact_id)

    def unproven(self) -> list[str]:
        """Contacts whose answers were the longest, and were taken as they came; none where such
        an answer was looked into."""
        return [] if self._whole[self.longest] else list(self._taken)

    def was_whole(self, length: int) -> None:
        """An answer of this length was looked into, and nothing was missing."""
        self._saw(length)
        self._whole[length] += 1

    def was_cut(self, length: int) -> list[str]:
        """An answer of this length lacked something. Returns the contacts whose answers of the
        same length were taken as they came: they are cut as well."""
        self.cuts.add(length)
        if length != self.longest:
            return []
        doubtful, self._taken = self._taken, []
        return doubtful

    def _saw(self, length: int) -> None:
        if length > self.longest:
            self.longest, self._taken = length, []


def _is_round(length: int) -> bool:
    return length >= _ROUND and (length % _ROUND == 0 or length & (length - 1) == 0)
