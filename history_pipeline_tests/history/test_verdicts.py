"""What only several requests together can tell."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from history_pipeline.errors import ServerUnusable
from history_pipeline.history.verdicts import Verdicts
from history_pipeline.model import HistoryRequest, Outcome, RequestState, Source, Window

MAIN, ARCHIVE = Source.MAIN, Source.ARCHIVE
NOW = datetime(2024, 1, 1, tzinfo=UTC)
WINDOW = Window(date(2023, 1, 1), date(2023, 2, 1))


def outcome(contact: int, source: Source, state: RequestState) -> Outcome:
    return Outcome(HistoryRequest(f"c{contact}", WINDOW, source), state, NOW, error="why")


def answered(contact: int, source: Source = MAIN) -> Outcome:
    return outcome(contact, source, RequestState.ANSWERED)


def errored(contact: int, source: Source = ARCHIVE) -> Outcome:
    return outcome(contact, source, RequestState.FAILED)


def unknown(contact: int, source: Source = MAIN) -> Outcome:
    return outcome(contact, source, RequestState.GONE)


def states(outcomes: list[Outcome]) -> list[RequestState]:
    return [each.state for each in outcomes]


def mains(count: int) -> Verdicts:
    """Verdicts after so many contacts' main was answered."""
    verdicts = Verdicts()
    for contact in range(count):
        assert verdicts.answered(answered(contact)) == [answered(contact)]
    return verdicts


# -- unavailable ----------------------------------------------------------------------------------


def test_five_contacts_condemn_the_archive() -> None:
    verdicts = mains(10)
    for contact in range(4):
        assert verdicts.errored(errored(contact)) == []
        assert not verdicts.archive_unavailable
    final = verdicts.errored(errored(4))
    assert states(final) == [RequestState.UNAVAILABLE] * 5
    assert [each.request.contact_id for each in final] == [f"c{n}" for n in range(5)]
    assert verdicts.archive_unavailable


def test_once_condemned_always_condemned_in_this_run() -> None:
    verdicts = mains(10)
    for contact in range(5):
        verdicts.errored(errored(contact))
    assert states(verdicts.errored(errored(5))) == [RequestState.UNAVAILABLE]
    verdicts.at_end(10)
    assert verdicts.archive_unavailable


def test_one_answer_of_the_archive_acquits_it() -> None:
    verdicts = mains(10)
    for contact in range(4):
        verdicts.errored(errored(contact))
    final = verdicts.answered(answered(4, ARCHIVE))
    assert states(final) == [RequestState.ANSWERED] + [RequestState.FAILED] * 4
    for contact in range(5, 10):
        assert states(verdicts.errored(errored(contact))) == [RequestState.FAILED]
    assert not verdicts.archive_unavailable


def test_an_answer_of_main_says_nothing_of_the_archive() -> None:
    verdicts = mains(10)
    for contact in range(4):
        verdicts.errored(errored(contact))
    assert verdicts.answered(answered(11)) == [answered(11)]
    assert states(verdicts.errored(errored(4))) == [RequestState.UNAVAILABLE] * 5


def test_main_is_never_unavailable() -> None:
    verdicts = Verdicts()
    for contact in range(30):
        assert states(verdicts.errored(errored(contact, MAIN))) == [RequestState.FAILED]


@pytest.mark.parametrize("contacts", [1, 2, 4, 5])
def test_where_there_are_fewer_contacts_all_of_them_condemn(contacts: int) -> None:
    verdicts = mains(contacts)
    final = [each for contact in range(contacts) for each in verdicts.errored(errored(contact))]
    final += verdicts.at_end(contacts)
    assert states(final) == [RequestState.UNAVAILABLE] * contacts


def test_fewer_errors_than_it_takes_are_failures() -> None:
    verdicts = mains(10)
    for contact in range(4):
        verdicts.errored(errored(contact))
    assert states(verdicts.at_end(10)) == [RequestState.FAILED] * 4
    assert verdicts.at_end(10) == []


def test_only_contacts_whose_main_was_answered_count_for_all() -> None:
    verdicts = mains(2)
    verdicts.unknown(unknown(2))
    final = [*verdicts.errored(errored(0)), *verdicts.errored(errored(1)), *verdicts.at_end(3)]
    assert states(final) == [RequestState.UNAVAILABLE] * 2


def test_what_an_earlier_try_found_out_holds() -> None:
    condemned = Verdicts()
    condemned.learn({(MAIN, RequestState.ANSWERED): 9, (ARCHIVE, RequestState.UNAVAILABLE): 9})
    assert states(condemned.errored(errored(1))) == [RequestState.UNAVAILABLE]
    acquitted = Verdicts()
    acquitted.learn({(MAIN, RequestState.ANSWERED): 9, (ARCHIVE, RequestState.ANSWERED): 1})
    assert states(acquitted.errored(errored(1))) == [RequestState.FAILED]


def test_one_answer_of_the_archive_in_another_window_of_the_run_acquits_it() -> None:
    verdicts = Verdicts()
    verdicts.learn({(MAIN, RequestState.ANSWERED): 9, (ARCHIVE, RequestState.ANSWERED): 1})
    verdicts.learn({(MAIN, RequestState.ANSWERED): 9, (ARCHIVE, RequestState.FAILED): 9})
    for contact in range(9):
        assert states(verdicts.errored(errored(contact))) == [RequestState.FAILED]


def test_failures_of_another_window_teach_nothing() -> None:
    verdicts = Verdicts()
    verdicts.learn({(MAIN, RequestState.FAILED): 9, (ARCHIVE, RequestState.FAILED): 9})
    assert verdicts.unknown(unknown(1)) == []
    for contact in range(4):
        assert verdicts.errored(errored(contact)) == []


@pytest.mark.parametrize(
    ("errors", "state"), [(1, RequestState.FAILED), (4, RequestState.UNAVAILABLE)]
)
def test_a_main_that_an_earlier_run_has_answered_counts_among_all(
    errors: int, state: RequestState
) -> None:
    """The rest of a run: three archives, and a witness of whom both sources are asked."""
    verdicts = mains(1)
    final = [each for contact in range(errors) for each in verdicts.errored(errored(contact))]
    final += verdicts.at_end(4, mains_spared=3)
    assert states(final) == [state] * errors


# -- gone -----------------------------------------------------------------------------------------


def test_unknown_contacts_wait_until_anybody_was_answered() -> None:
    verdicts = Verdicts()
    assert verdicts.unknown(unknown(1)) == []
    assert verdicts.unknown(unknown(2)) == []
    final = verdicts.answered(answered(3))
    assert states(final) == [RequestState.ANSWERED, RequestState.GONE, RequestState.GONE]
    assert states(verdicts.unknown(unknown(4))) == [RequestState.GONE]


def test_twenty_unknown_contacts_and_no_other_end_the_run() -> None:
    verdicts = Verdicts()
    for contact in range(19):
        verdicts.unknown(unknown(contact))
    with pytest.raises(ServerUnusable, match="20 contacts: these ids are not customers' ids"):
        verdicts.unknown(unknown(19))


def test_both_sources_of_a_contact_count_once() -> None:
    verdicts = Verdicts()
    for contact in range(19):
        verdicts.unknown(unknown(contact))
        verdicts.unknown(unknown(contact, ARCHIVE))
    with pytest.raises(ServerUnusable):
        verdicts.unknown(unknown(19))


def test_a_twentieth_that_is_known_saves_the_run() -> None:
    verdicts = Verdicts()
    for contact in range(19):
        verdicts.unknown(unknown(contact))
    assert len(verdicts.answered(answered(19))) == 20
    for contact in range(20, 60):
        assert states(verdicts.unknown(unknown(contact))) == [RequestState.GONE]


def test_a_short_list_of_which_nobody_is_known_ends_the_run_too() -> None:
    verdicts = Verdicts()
    verdicts.unknown(unknown(1))
    with pytest.raises(ServerUnusable):
        verdicts.at_end(1)


def test_the_message_counts_contacts() -> None:
    verdicts = Verdicts()
    for contact in range(3):
        verdicts.unknown(unknown(contact))
        verdicts.unknown(unknown(contact, ARCHIVE))
    with pytest.raises(ServerUnusable, match="first 3 contacts"):
        verdicts.at_end(3)


def test_one_unknown_contact_among_failures_does_not_condemn_the_list() -> None:
    verdicts = Verdicts()
    verdicts.unknown(unknown(1))
    for contact in range(2, 100):
        verdicts.errored(errored(contact, MAIN))
    verdicts.at_end(99)


def test_a_contact_that_was_answered_in_two_windows_counts_once() -> None:
    """Three contacts; the first window told nothing of the archive, the second all there is."""
    verdicts = mains(3)
    for contact in range(3):
        verdicts.failed(errored(contact))
    assert verdicts.at_end(3) == []
    for contact in range(3):
        verdicts.answered(answered(contact))
    final = [each for contact in range(3) for each in verdicts.errored(errored(contact))]
    assert states(final + verdicts.at_end(3)) == [RequestState.UNAVAILABLE] * 3
