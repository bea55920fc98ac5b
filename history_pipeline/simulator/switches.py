"""What a switch is: a value, its limits, and how the command line takes it.

Knows kinds of values. Does not know any particular switch. Each function makes the metadata
of a dataclass field: `lost_share: float = field(default=0.0, metadata=share("never notified"))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from zoneinfo import ZoneInfo

Metadata = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """`flag` is given where it is not the field's name; `turns_to` where it takes no value.

    `holds` says of a value whether it is allowed, `wanted` what would be.
    """

    told: str
    flag: str | None = None
    parse: Callable[[str], Any] = str
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    turns_to: bool | None = None
    holds: Callable[[Any], bool] = lambda value: True
    wanted: str = ""


def _of(**parts: Any) -> Metadata:
    return {"switch": Switch(**parts)}


def text(told: str) -> Metadata:
    return _of(told=told)


def share(told: str) -> Metadata:
    return _of(
        told=told,
        parse=float,
        metavar="SHARE",
        holds=lambda value: 0 <= value <= 1,
        wanted="a share from 0 to 1",
    )


def seconds(told: str) -> Metadata:
    return _of(
        told=told,
        parse=float,
        metavar="S",
        holds=lambda value: value is None or value >= 0,
        wanted="a number of seconds",
    )


def millis(told: str, flag: str) -> Metadata:
    return _of(
        told=told,
        flag=flag,
        parse=int,
        metavar="MS",
        holds=lambda value: value >= 0,
        wanted="a number of milliseconds",
    )


def span(told: str, flag: str) -> Metadata:
    """`20` or `20,60`: milliseconds, least and most."""
    return _of(
        told=told,
        flag=flag,
        parse=parsed_span,
        metavar="MS[,MS]",
        holds=lambda value: 0 <= value[0] <= value[1],
        wanted="a span of milliseconds",
    )


def ages(told: str) -> Metadata:
    """`8` or `8,60`: days, least and most, parts of days included."""
    return _of(
        told=told,
        parse=parsed_span,
        metavar="DAYS[,DAYS]",
        holds=lambda value: 0 < value[0] <= value[1],
        wanted="a span of days",
    )


def count(told: str, least: int = 1) -> Metadata:
    return _of(
        told=told,
        parse=int,
        metavar="N",
        holds=lambda value: value is None or value >= least,
        wanted=f"a number, at least {least}",
    )


def number(told: str) -> Metadata:
    return _of(
        told=told,
        parse=float,
        metavar="N",
        holds=lambda value: value is None or value >= 0,
        wanted="a number, not negative",
    )


def choice(told: str, choices: tuple[str, ...]) -> Metadata:
    return _of(
        told=told,
        choices=choices,
        holds=lambda value: value in choices,
        wanted=f"one of {', '.join(choices)}",
    )


def several(told: str, choices: tuple[str, ...]) -> Metadata:
    """At least one of the choices, separated by commas."""
    return _of(
        told=f"{told}: some of {', '.join(choices)}, with commas between",
        parse=parsed_list,
        metavar="LIST",
        holds=lambda value: bool(value) and set(value) <= set(choices),
        wanted=f"some of {', '.join(choices)}",
    )


def names(told: str, metavar: str) -> Metadata:
    return _of(told=f"{told}; several with commas between", parse=parsed_list, metavar=metavar)


def numbers(told: str) -> Metadata:
    return _of(
        told=f"{told}; several with commas between",
        parse=lambda value: tuple(map(int, parsed_list(value))),
        metavar="N[,N]",
        holds=lambda value: all(one >= 1 for one in value),
        wanted="numbers from 1 on",
    )


def zone(told: str) -> Metadata:
    """An IANA zone, or none."""
    return _of(told=told, metavar="ZONE", holds=_is_zone, wanted="an IANA zone")


def turned_on(told: str, flag: str) -> Metadata:
    return _of(told=told, flag=flag, turns_to=True)


def turned_off(told: str, flag: str) -> Metadata:
    return _of(told=told, flag=flag, turns_to=False)


def _is_zone(name: str) -> bool:
    try:
        return not name or bool(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return False


def parsed_span(value: str) -> tuple[float, float]:
    low, _, high = value.partition(",")
    return float(low), float(high or low)


def parsed_list(value: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, value.split(","))))


def check(holder: Any) -> None:
    """Raises ValueError that names the first switch of a dataclass whose value is not allowed."""
    for field in fields(holder):
        switch: Switch | None = field.metadata.get("switch")
        value = getattr(holder, field.name)
        if switch is not None and not switch.holds(value):
            raise ValueError(f"{field.name} is {value!r}, not {switch.wanted}")
