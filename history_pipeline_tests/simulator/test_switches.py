"""Every switch is a flag and a field, and without any nothing goes wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from history_pipeline.simulator import Behaviour, Simulator, SwitchedFaults, World
from history_pipeline.simulator.behaviour import SECTIONS
from history_pipeline.simulator.command_line import behaviour_of, build_parser
from history_pipeline.simulator.switches import Switch
from history_pipeline_tests.simulator.plain_client import PlainClient


def behaviour(*flags: str) -> Behaviour:
    return behaviour_of(build_parser().parse_args(flags))


def fields() -> list[dataclasses.Field[Any]]:
    return [one for one in dataclasses.fields(Behaviour) if one.name != "seed"]


def flag_of(field: dataclasses.Field[Any]) -> str:
    return "--" + (field.metadata["switch"].flag or field.name.replace("_", "-"))


def test_without_flags_the_behaviour_is_the_usual_one() -> None:
    assert behaviour() == Behaviour()


def test_every_field_is_a_switch_of_exactly_one_section() -> None:
    in_sections = [one.name for section in SECTIONS.values() for one in dataclasses.fields(section)]
    assert sorted(in_sections) == sorted(one.name for one in fields())


@pytest.mark.parametrize("field", fields(), ids=lambda field: field.name)
def test_every_switch_has_a_flag_that_changes_it(field: dataclasses.Field[Any]) -> None:
    switch: Switch = field.metadata["switch"]
    value = {
        "SHARE": "0.5",
        "S": "7",
        "MS": "7",
        "MS[,MS]": "5,20",
        "DAYS[,DAYS]": "5,20",
        "N": "7",
        "N[,N]": "2,3",
        "ID[,ID]": "a,b",
        "NAME[,NAME]": "a,b",
        "ZONE": "Asia/Tokyo",
        "LIST": "none" if "retry" in field.name else "polls,login",
    }.get(switch.metavar or "", switch.choices[-1] if switch.choices else "text")
    flags = [flag_of(field)] if switch.turns_to is not None else [flag_of(field), value]
    needed = ["--mute-from", "1"] if field.name == "mute_seconds" else []
    changed = getattr(behaviour(*flags, *needed), field.name)
    assert changed != field.default
    assert f"  {flag_of(field)}" in build_parser().format_help()


def test_the_help_shows_the_sections(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--help"])
    told = capsys.readouterr().out
    for title in ("world", *SECTIONS):
        assert f"\n{title}:\n" in told


def test_lists_and_spans_are_read() -> None:
    found = behaviour(
        "--failing-contacts", "a, b", "--cut-replies", "1,4", "--latency", "5,20",
        "--retry-after-forms", "date,none", "--http-faults-on", "history,contacts",
    )  # fmt: skip
    assert found.failing_contacts == ("a", "b")
    assert found.cut_replies == (1, 4)
    assert found.latency_ms == (5.0, 20.0)
    assert found.retry_after_forms == ("date", "none")
    assert found.http_faults_on == ("history", "contacts")


@pytest.mark.parametrize(
    "wrong",
    [
        {"lost_share": 1.1},
        {"http_503_share": -0.1},
        {"latency_ms": (5, 2)},
        {"late_seconds": -1.0},
        {"mute_from": 0},
        {"mute_seconds": 5.0},
        {"cut_replies": (0,)},
        {"nodes": 0},
        {"http_faults_on": ("attic",)},
        {"http_faults_on": ()},
        {"retry_after_forms": ("never",)},
        {"lost_session_advice": "retry"},
        {"over_limit_status": "500"},
        {"login_refusal": "shrug"},
        {"basic_encoding": "ebcdic"},
        {"unknown_contacts": "shrug"},
        {"days_zone": "Mars/Olympus"},
        {"archiver_per_second": 1.0, "archiver_per_request": 1},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Behaviour(**wrong)


async def test_without_switches_nothing_is_injected_and_nothing_is_looked_at_twice() -> None:
    world = World(contacts=10)
    assert not SwitchedFaults(Behaviour()).identifies
    async with Simulator(world).serve() as server, PlainClient(server.url) as client:
        await client.open()
        asked = [await client.accepted(one.contact_id) for one in world.contacts()]
        assert [one["referenceId"] for one in await client.waiting()] == asked
        told = server.stats.snapshot()
        assert told["faults"] == {} and told["archived"] == told["inFlight"] == 0
        assert told["notifications"]["sent"] == told["acceptedRequests"] == 10
        assert len(server.nodes[0].identities) == 0
