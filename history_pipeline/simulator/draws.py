"""Randomness that is a function of its key.

Knows how to turn a key into numbers, the same on every machine and in every process.
Refuses global random state and Python's own `hash()`, which differs from run to run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

_RANGE = 2**64


def key_number(*parts: object) -> int:
    """A 64-bit number that depends on nothing but the texts of `parts`."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def fraction(*parts: object) -> float:
    """From 0 to below 1, a function of the key alone."""
    return key_number(*parts) / _RANGE


def keyed(*parts: object) -> Random:
    """A generator of its own for this key; callers use only `random()` of it.

    `Random.random` is the one method whose sequence the language promises to keep.
    """
    return Random(key_number(*parts))


@dataclass(frozen=True, slots=True)
class Dice:
    """One fault's chance. Whether it falls on a thing depends on (fault, seed, thing) alone.

    So neither the other faults, nor the order of calls, nor the clock move it; and what it
    falls on at a small share, it falls on at every larger one.
    """

    fault: str
    seed: int
    share: float

    def falls(self, *thing: object) -> bool:
        return self.share > 0 and fraction(self.fault, self.seed, *thing) < self.share


def thrown(dice: Iterable[Dice]) -> tuple[Dice, ...]:
    """Those that can fall on anything; the others need not be thrown."""
    return tuple(one for one in dice if one.share > 0)


def those_that_fall(dice: Iterable[Dice], *thing: object) -> tuple[str, ...]:
    """The names of the faults that fall on this thing, in the order of the dice."""
    return tuple(one.fault for one in dice if one.falls(*thing))
