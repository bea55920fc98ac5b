"""The simulator as a process of its own.

Knows arguments, signals and the line that says where it listens. Does not know the protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from history_pipeline.simulator.behaviour import LOGIN_REFUSALS, Behaviour
from history_pipeline.simulator.records import DEFECTS
from history_pipeline.simulator.server import Simulator
from history_pipeline.simulator.world import World


def build_parser() -> argparse.ArgumentParser:
    """Flags of the process, of the world and of the server's behaviour."""
    parser = argparse.ArgumentParser(
        prog="python -m history_pipeline.simulator",
        description="A simulated Genesys Web Services on 127.0.0.1. Prints one line of JSON "
        "with its url and pid when it is ready.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin is closed")
    _add_world(parser.add_argument_group("world"))
    _add_behaviour(parser.add_argument_group("behaviour"))
    return parser


def _add_world(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--seed", type=int, default=1, help="of the world and of every chance (1)")
    add("--contacts", type=int, default=2000)
    add("--start", type=date.fromisoformat, help="first day (30 days before the end)")
    add("--end", type=date.fromisoformat, help="day after the last one (today)")
    add("--days", type=int, default=30, help="length, where no start is given (30)")
    add("--zone", default="Europe/Berlin", help="IANA zone in which days are cut")
    add("--interactions-per-contact", type=float, default=20.0, help="mean over the span")
    add("--giant-interactions", type=int, default=0, help="that the first contact gets")
    add("--archived-share", type=float, default=0.4, help="part of the span that is archived")
    add("--unreadable-share", type=float, default=0.002)
    add("--defect", action="append", choices=tuple(DEFECTS), help="only these; may be repeated")
    add("--attribute-name", action="append", help="only these; may be repeated")


def _add_behaviour(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    usual = Behaviour()
    add("--username", default=usual.username)
    add("--password", default=usual.password)
    add("--login-refusal", choices=LOGIN_REFUSALS, default=usual.login_refusal)
    add("--no-csrf", action="store_true")
    add("--http-session-timeout", type=float, default=usual.http_session_timeout, metavar="S")
    add("--polls-do-not-keep-session", action="store_true")
    add(
        "--latency",
        type=span,
        default=usual.latency_ms,
        metavar="MS[,MS]",
        help="from acceptance to notification",
    )
    add(
        "--reply-latency",
        type=span,
        default=usual.reply_latency_ms,
        metavar="MS[,MS]",
        help="of the HTTP reply to a history request",
    )
    add("--early-share", type=float, default=0.0, help="notified before the HTTP reply")
    add("--lost-share", type=float, default=0.0, help="never notified")
    add("--no-archive", action="store_true", help="archive answers with an errorMessage")
    add("--to-date-excluded", action="store_true")
    add("--answer-cap", type=int, help="most records in one answer (no cap)")
    add("--errors-with-200", action="store_true", help="statusCode errors come as HTTP 200")
    add("--max-page", type=int, default=usual.max_page, help="largest page of contacts")
    add("--no-ack", action="store_true")
    add("--refuse-subscription", action="store_true")
    add("--cometd-timeout", type=int, default=usual.cometd_timeout_ms, metavar="MS")
    add("--cometd-interval", type=int, default=usual.cometd_interval_ms, metavar="MS")
    add("--cometd-max-interval", type=int, default=usual.cometd_max_interval_ms, metavar="MS")


def span(text: str) -> tuple[float, float]:
    """`20` or `20,60`: milliseconds, least and most."""
    low, _, high = text.partition(",")
    return float(low), float(high or low)


def world_of(arguments: argparse.Namespace) -> World:
    end = arguments.end or datetime.now(ZoneInfo(arguments.zone)).date()
    world = {
        "seed": arguments.seed,
        "contacts": arguments.contacts,
        "start": arguments.start or end - timedelta(days=arguments.days),
        "end": end,
        "zone": arguments.zone,
        "interactions_per_contact": arguments.interactions_per_contact,
        "giant_interactions": arguments.giant_interactions,
        "archived_share": arguments.archived_share,
        "unreadable_share": arguments.unreadable_share,
    }
    if arguments.defect:
        world["defects"] = tuple(arguments.defect)
    if arguments.attribute_name:
        world["attribute_names"] = tuple(arguments.attribute_name)
    return World(**world)


def behaviour_of(arguments: argparse.Namespace) -> Behaviour:
    return Behaviour(
        username=arguments.username,
        password=arguments.password,
        login_refusal=arguments.login_refusal,
        csrf=not arguments.no_csrf,
        http_session_timeout=arguments.http_session_timeout,
        polls_keep_session=not arguments.polls_do_not_keep_session,
        latency_ms=arguments.latency,
        reply_latency_ms=arguments.reply_latency,
        early_share=arguments.early_share,
        lost_share=arguments.lost_share,
        archive=not arguments.no_archive,
        to_date_included=not arguments.to_date_excluded,
        answer_cap=arguments.answer_cap,
        errors_as_http=not arguments.errors_with_200,
        max_page=arguments.max_page,
        ack=not arguments.no_ack,
        subscription_refused=arguments.refuse_subscription,
        cometd_timeout_ms=arguments.cometd_timeout,
        cometd_interval_ms=arguments.cometd_interval,
        cometd_max_interval_ms=arguments.cometd_max_interval,
        seed=arguments.seed,
    )


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
