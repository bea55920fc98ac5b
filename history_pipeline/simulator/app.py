"""The simulator as a process of its own.

Knows signals and the line that says where it listens. Does not know the protocol.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.command_line import behaviour_of, build_parser, world_of
from history_pipeline.simulator.server import Simulator
from history_pipeline.simulator.world import World


async def run(world: World, behaviour: Behaviour, port: int, exit_with_parent: bool) -> None:
    """Serves until a signal, or until stdin ends where that is asked for."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if exit_with_parent:
        _call_at_end_of_stdin(lambda: loop.call_soon_threadsafe(ending.set))
    async with Simulator(world, behaviour).serve(port) as server:
        print(json.dumps({"url": server.url, "pid": os.getpid()}), flush=True)
        await ending.wait()


def _call_at_end_of_stdin(ended: Callable[[], object]) -> None:
    """A daemon thread reads: stdin may be a file or a terminal, which loops cannot watch."""

    def read() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        ended()

    threading.Thread(target=read, name="stdin", daemon=True).start()


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        world, behaviour = world_of(arguments), behaviour_of(arguments)
    except (ValueError, KeyError) as problem:
        parser.error(str(problem))
    asyncio.run(run(world, behaviour, arguments.port, arguments.exit_with_parent))
    return 0
