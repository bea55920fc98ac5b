"""How long one question may be interrupted, on virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from history_pipeline.errors import EpochLost, ServerSilent
from history_pipeline.gws.inquiry import Answer, Inquiry
from history_pipeline.gws.insisting import uninterrupted
from history_pipeline.gws.payloads import EMPTY
from history_pipeline_tests import virtual_time


@dataclass
class Interrupting:
    """Each attempt takes 100 s, so many of which it waits for others, and is interrupted; the
    tenth is answered."""

    waits: float
    attempts: int = 0

    async def attempt(self, inquiry: Inquiry) -> Answer:
        await asyncio.sleep(100)
        inquiry.yielded += self.waits
        self.attempts += 1
        if self.attempts < 10:
            raise EpochLost("again")
        return EMPTY

    def forget(self, inquiry: Inquiry) -> None:
        raise AssertionError("nobody asked for this")


def test_who_is_interrupted_without_end_ends_the_run() -> None:
    with pytest.raises(ServerSilent, match="300 s"):
        virtual_time.run(uninterrupted(Interrupting(0), Inquiry("/", b""), 300))


def test_waiting_while_others_get_on_does_not_count() -> None:
    asker = Interrupting(80)
    assert virtual_time.run(uninterrupted(asker, Inquiry("/", b""), 300)) == EMPTY
    assert asker.attempts == 10
