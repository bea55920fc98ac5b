"""The arguments of the simulator's process.

Knows the flags of the process and of the world. Those of the behaviour it takes from the
switches themselves: one for each, in their sections.
"""

from __future__ import annotations

import argparse
from dataclasses import MISSING, Field, fields
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from history_pipeline.simulator.behaviour import SECTIONS, Behaviour
from history_pipeline.simulator.records import DEFECTS
from history_pipeline.simulator.switches import Switch
from history_pipeline.simulator.world import World


def build_parser() -> argparse.ArgumentParser:
    """Flags of the process, of the world and of the server's behaviour."""
    parser = argparse.ArgumentParser(
        prog="python -m history_pipeline.simulator",
        usage="%(prog)s [switches]",
        description="A simulated Genesys Web Services on 127.0.0.1. Prints one line of JSON "
        "with its url and pid when it is ready; GET /simulator/stats tells what it has seen. "
        "A SHARE is from 0 (never) to 1 (always), drawn from the seed.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one (default)")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin is closed")
    _add_world(parser.add_argument_group("world", "What there is to be asked for."))
    for title, section in SECTIONS.items():
        group = parser.add_argument_group(title, section.__doc__)
        for one in fields(section):
            _add_switch(group, one)
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
    add(
        "--merged-share",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="contacts whose ids answer for the one before them (at most 0.5)",
    )
    add(
        "--active-share",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="contacts that have interactions at all (1)",
    )
    add("--unassigned", type=int, default=0, help="interactions that are nobody's (0)")
    add("--defect", action="append", choices=tuple(DEFECTS), help="only these; may be repeated")
    add("--attribute-name", action="append", help="only these; may be repeated")


def _add_switch(group: argparse._ArgumentGroup, field: Field[Any]) -> None:
    switch: Switch = field.metadata["switch"]
    assert field.default is not MISSING  # noqa: S101 - every switch has a default
    flag = "--" + (switch.flag or field.name.replace("_", "-"))
    shown = switch.told.replace("%", "%%")
    if switch.turns_to is not None:
        action = "store_true" if switch.turns_to else "store_false"
        group.add_argument(flag, dest=field.name, action=action, help=shown)
        return
    group.add_argument(
        flag,
        dest=field.name,
        type=switch.parse,
        default=field.default,
        choices=switch.choices,
        metavar=switch.metavar,
        help=shown,
    )


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
        "merged_share": arguments.merged_share,
        "active_share": arguments.active_share,
        "unassigned": arguments.unassigned,
    }
    if arguments.defect:
        world["defects"] = tuple(arguments.defect)
    if arguments.attribute_name:
        world["attribute_names"] = tuple(arguments.attribute_name)
    return World(**world)


def behaviour_of(arguments: argparse.Namespace) -> Behaviour:
    """Every field of a behaviour is an argument of the same name, `seed` among them."""
    return Behaviour(**{one.name: getattr(arguments, one.name) for one in fields(Behaviour)})
