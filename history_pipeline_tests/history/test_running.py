from __future__ import annotations

import asyncio
import os
import signal

import pytest

from history_pipeline.history.running import Stopped, run


async def told(number: int) -> None:
    """Tells this very process to stop, and goes on with its work."""
    os.kill(os.getpid(), number)
    await asyncio.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_work_in_order(number: int) -> None:
    done = []

    async def work() -> None:
        try:
            await told(number)
        finally:
            await asyncio.sleep(0)
            done.append("tidied")

    with pytest.raises(Stopped) as stopped:
        run(work())
    assert stopped.value.signal_number == number
    assert done == ["tidied"]


def test_a_second_signal_does_not_cut_the_end_short() -> None:
    done = []

    async def work() -> None:
        try:
            await told(signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(3):
                await asyncio.sleep(0)
            done.append("tidied")

    with pytest.raises(Stopped) as stopped:
        run(work())
    assert stopped.value.signal_number == signal.SIGTERM
    assert done == ["tidied"]


def test_a_signal_that_comes_too_late_to_cancel_anything_is_told_all_the_same() -> None:
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        run(work())


def test_the_handlers_are_given_back_and_the_wakeup_descriptor_is_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def work() -> int:
        return 7

    assert run(work()) == 7
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert signal.set_wakeup_fd(-1) == -1
