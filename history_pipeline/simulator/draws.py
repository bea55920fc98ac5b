"""Randomness that is a function of its key.

Knows how to turn a key into numbers, the same on every machine and in every process.
Refuses global random state and Python's own `hash()`, which differs from run to run.
"""

from __future__ import annotations

import hashlib
from random import Random


def key_number(*parts: object) -> int:
    """A 64-bit number that depends on nothing but the texts of `parts`."""
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def keyed(*parts: object) -> Random:
    """A generator of its own for this key; callers use only `random()` of it.

    `Random.random` is the one method whose sequence the language promises to keep.
    """
    return Random(key_number(*parts))
