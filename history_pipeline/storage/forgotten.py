"""Contacts that are to be known no more: a keyed hash of each, so that no later run brings them
back. The key lies beside the hashes: who reads one reads the other, but neither tells an id.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from history_pipeline.storage import files
from history_pipeline.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Who is forgotten in a data directory. Answers are remembered: ids come again and again."""

    key: bytes
    digests: frozenset[str]
    _known: dict[str, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def __contains__(self, contact_id: Any) -> bool:
        if not self.digests or type(contact_id) is not str:
            return False
        found = self._known.get(contact_id)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[contact_id] = self.digest(contact_id) in self.digests
        return found

    def digest(self, contact_id: str) -> str:
        text = contact_id.encode("utf-8", errors="surrogatepass")
        return hashlib.blake2b(text, key=self.key, digest_size=32).hexdigest()

    def without(self, contact_ids: pa.Array) -> pa.Array:
        """The ids that are not forgotten."""
        if not self.digests:
            return contact_ids
        kept = [contact_id not in self for contact_id in contact_ids.to_pylist()]
        return contact_ids.filter(pa.array(kept, pa.bool_()))


_REMEMBERED = 10_000


def read(layout: Layout) -> Forgotten:
    known = files.read_json(layout.forgotten)
    if known is None:
        return Forgotten(secrets.token_bytes(32), frozenset())
    return Forgotten(bytes.fromhex(known["key"]), frozenset(known["digests"]))


def add(layout: Layout, contact_id: str) -> Forgotten:
    """From here on nothing of this contact is kept."""
    before = read(layout)
    now = Forgotten(before.key, before.digests | {before.digest(contact_id)})
    files.replace_json({"key": now.key.hex(), "digests": sorted(now.digests)}, layout.forgotten)
    return now
