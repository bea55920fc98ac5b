"""Chances: kept, repeatable, and each for itself."""

from __future__ import annotations

from history_pipeline.simulator import Call
from history_pipeline.simulator.call_identity import Identities
from history_pipeline.simulator.draws import Dice, fraction, those_that_fall, thrown

THINGS = range(4000)
PATH = "/api/v2/ucs/contacts/0001abcd00000001/interactions"


def fallen(dice: Dice) -> set[int]:
    return {thing for thing in THINGS if dice.falls(thing)}


def test_a_share_is_kept() -> None:
    assert 720 < len(fallen(Dice("lost", 1, 0.2))) < 880
    assert fallen(Dice("lost", 1, 0.0)) == set()
    assert fallen(Dice("lost", 1, 1.0)) == set(THINGS)


def test_the_same_seed_repeats_and_another_does_not() -> None:
    assert fallen(Dice("lost", 1, 0.2)) == fallen(Dice("lost", 1, 0.2))
    assert fallen(Dice("lost", 1, 0.2)) != fallen(Dice("lost", 2, 0.2))


def test_faults_fall_independently_of_each_other() -> None:
    lost, late = fallen(Dice("lost", 1, 0.5)), fallen(Dice("late", 1, 0.5))
    assert 900 < len(lost & late) < 1100


def test_a_larger_share_falls_on_more_and_on_the_same() -> None:
    assert fallen(Dice("lost", 1, 0.1)) < fallen(Dice("lost", 1, 0.3))


def test_the_names_of_the_fallen_come_in_the_order_of_the_dice() -> None:
    always, never, too = Dice("b", 1, 1.0), Dice("c", 1, 0.0), Dice("a", 1, 1.0)
    assert those_that_fall((always, never, too), 1) == ("b", "a")
    assert thrown((always, never, too)) == (always, too)


def test_a_fraction_is_spread_over_the_whole_range() -> None:
    found = [fraction("x", thing) for thing in THINGS]
    assert 0 <= min(found) < 0.01 and 0.99 < max(found) < 1
    assert 0.48 < sum(found) / len(found) < 0.52


def history(body: bytes = b"{}", path: str = PATH) -> tuple[Call, str, bytes]:
    return Call(1, "POST", path), "", body


def test_a_call_that_comes_again_is_the_same_for_another_time() -> None:
    identities = Identities()
    first, other, again = (
        identities.identified(*history(body)) for body in (b"{1}", b"{2}", b"{1}")
    )
    assert first.identity == again.identity != other.identity
    assert (first.turn, other.turn, again.turn) == (1, 1, 2)
    assert Identities().identified(*history(b"{1}")).identity == first.identity


def test_calls_are_told_apart_by_their_place() -> None:
    def place(method: str, path: str, body: bytes = b"") -> str:
        return Identities().identified(Call(1, method, path), "", body).place

    notifications = "/api/v2/notifications"
    assert place("POST", PATH) == "history"
    assert place("POST", "/api/v2/ucs/interactions") == "history"
    assert place("GET", "/api/v2/contacts") == "contacts"
    assert place("GET", "/api/v2/me") == "login"
    assert place("POST", notifications, b'[{"channel":"/meta/handshake"}]') == "handshakes"
    assert place("POST", notifications, b'[{"channel":"/meta/connect"}]') == "polls"
    assert place("POST", notifications + "/connect", b'{"channel":"/meta/connect"}') == "polls"
    assert place("POST", notifications, b"no json") == "handshakes"
    assert place("GET", PATH) == place("PUT", PATH) == place("GET", "/") == ""


def test_a_poll_is_known_by_its_cometd_session_and_a_page_by_its_query() -> None:
    identities = Identities()
    connect = b'[{"channel":"/meta/connect","clientId":"%b","id":"%d"}]'
    poll = Call(1, "POST", "/api/v2/notifications")
    turns = [
        identities.identified(poll, "", connect % (client, number)).turn
        for number, client in enumerate((b"a", b"b", b"a"))
    ]
    assert turns == [1, 1, 2]
    page = Call(1, "GET", "/api/v2/contacts")
    turns = [identities.identified(page, f"offset={at}", b"").turn for at in (0, 100, 0)]
    assert turns == [1, 1, 2]
