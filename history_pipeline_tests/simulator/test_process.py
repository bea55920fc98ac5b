"""The simulator as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from history_pipeline.simulator.command_line import behaviour_of, build_parser, world_of


@contextmanager
def started(*flags: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = [sys.executable, "-m", "history_pipeline.simulator", "--contacts", "5", *flags]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready["pid"] == process.pid
            yield process, ready["url"]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_on_a_signal(number: signal.Signals) -> None:
    with started() as (process, url):
        with urllib.request.urlopen(url + "/simulator/stats", timeout=2) as reply:
            assert json.load(reply)["inFlight"] == 0
        asked_at = time.monotonic()
        process.send_signal(number)
        assert process.wait(3) == 0
        assert time.monotonic() - asked_at < 2


def test_it_ends_with_its_parent_where_that_is_asked_for() -> None:
    with started("--exit-with-parent") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(3) == 0


def test_flags_become_a_world_and_a_behaviour() -> None:
    flags = (
        "--contacts 7 --seed 3 --start 2024-01-01 --end 2024-02-01 --zone UTC --no-csrf --no-ack "
        "--no-archive --to-date-excluded --latency 5,20 --reply-latency 3 --early-share 0.1 "
        "--lost-share 0.2 --answer-cap 9 --cometd-timeout 100 --refuse-subscription"
    )
    arguments = build_parser().parse_args(flags.split())
    world, behaviour = world_of(arguments), behaviour_of(arguments)
    assert (world.size, world.seed, str(world.end), world.zone.key) == (7, 3, "2024-02-01", "UTC")
    assert behaviour.latency_ms == (5, 20) and behaviour.reply_latency_ms == (3, 3)
    assert not (behaviour.csrf or behaviour.ack or behaviour.archive or behaviour.to_date_included)
    assert behaviour.subscription_refused and behaviour.seed == 3


def test_the_default_world_ends_yesterday() -> None:
    world = world_of(build_parser().parse_args([]))
    assert (world.end - world.start).days == 30


@pytest.mark.parametrize("flags", [["--lost-share", "2"], ["--zone", "Nowhere/Atall"]])
def test_nonsense_ends_with_status_2(flags: list[str]) -> None:
    command = [sys.executable, "-m", "history_pipeline.simulator", *flags]
    assert subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 2
