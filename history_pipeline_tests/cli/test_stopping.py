"""How a command ends that a signal has stopped, whatever it was at."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time

GRACE = 0.4

FRAME = """
import os, signal, sys, time
from history_pipeline.cli import stopping
from history_pipeline.cli.exits import guarded

def tell(number):
    os.kill(os.getpid(), number)

def command():
{body}

sys.exit(guarded(command, grace={grace}))
"""


def ended(body: str, grace: float = GRACE) -> subprocess.CompletedProcess[str]:
    """A process of its own: what stops it is a property of processes."""
    code = FRAME.format(body=textwrap.indent(textwrap.dedent(body), "    "), grace=grace)
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_signal_is_told_by_the_status_and_by_one_line() -> None:
    for number in (2, 15):
        done = ended(f"tell({number})\ntime.sleep(20)")
        assert done.returncode == 128 + number
        assert done.stderr.count("\n") == 1
        assert "goes on from there" in done.stderr


def test_an_error_that_an_interrupt_became_on_its_way_is_not_shown() -> None:
    done = ended("""
        try:
            tell(signal.SIGTERM)
            time.sleep(20)
        except KeyboardInterrupt:
            raise RuntimeError("query interrupted")
    """)
    assert done.returncode == 143
    assert "RuntimeError" not in done.stderr


def test_what_cannot_be_interrupted_ends_after_the_grace() -> None:
    started = time.monotonic()
    done = ended("""
        signal.signal(signal.SIGTERM, lambda *_: None)
        tell(signal.SIGTERM)
        time.sleep(20)
    """)
    assert done.returncode == 143
    assert "goes on from there" in done.stderr
    assert time.monotonic() - started < 10


def test_a_signal_that_somebody_has_forgotten_is_obeyed_at_the_next_occasion() -> None:
    done = ended("""
        signal.signal(signal.SIGINT, lambda *_: None)
        tell(signal.SIGINT)
        stopping.obey()
        print("went on")
    """)
    assert done.returncode == 130
    assert done.stdout == ""


def test_a_second_signal_does_not_disturb_the_end() -> None:
    done = ended("""
        try:
            tell(signal.SIGTERM)
        finally:
            tell(signal.SIGINT)
            print("tidied")
    """)
    assert done.returncode == 143
    assert done.stdout == "tidied\n"


def test_a_command_that_was_done_already_keeps_its_status() -> None:
    done = ended("""
        signal.signal(signal.SIGINT, lambda *_: None)
        tell(signal.SIGINT)
        sys.exit(1)
    """)
    assert done.returncode == 1


def test_an_end_left_to_others_may_take_longer() -> None:
    done = ended(
        """
        signal.signal(signal.SIGTERM, lambda *_: None)
        stopping.leave_the_end_to_others()
        tell(signal.SIGTERM)
        time.sleep(1)
        print("the child has ended")
        """,
        grace=0.1,
    )
    assert done.returncode == 0
    assert done.stdout == "the child has ended\n"


GENERATOR = """
        def stubborn():
            try:
                yield
            except GeneratorExit:
                yield
        held = stubborn()
        next(held)
"""


def test_a_generator_that_was_cut_off_does_not_complain_once_the_command_is_stopped() -> None:
    done = ended(GENERATOR + "        tell(signal.SIGTERM)\n        time.sleep(20)\n")
    assert done.returncode == 143
    assert done.stderr.count("\n") == 1


def test_without_a_signal_what_nobody_can_catch_is_shown() -> None:
    done = ended(GENERATOR + "        del held\n")
    assert done.returncode == 0
    assert "generator ignored GeneratorExit" in done.stderr
