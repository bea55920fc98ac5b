"""What only several requests together can tell. Pure.

A source is `unavailable` when 5 different contacts (all, if there are fewer) whose main was
answered got an errorMessage for it after all attempts, and none has had an answer. A contact is
`gone` when the server does not know it while it answers for others; where the first 20 contacts
are all unknown, these are no customers' ids. Until that is known, such outcomes wait here: never
more than 5 and 20 contacts' of them, and the requests in flight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from history_pipeline.errors import ServerUnusable
from history_pipeline.model import Outcome, RequestState, Source

CONTACTS_TO_CONDEMN_A_SOURCE = 5
CONTACTS_TO_CONDEMN_A_LIST = 20


class Verdicts:
    """Judges the outcomes of one run as they come. Outcomes given back are final."""

    def __init__(self) -> None:
        self._anybody_answered = False
        self._anybody_known = False
        self._mains_before = 0
        self._mains: set[str] = set()
        self._unproven: set[str] = set()
        self._archive_answered = False
        self.archive_unavailable = False
        self._waiting_archive: list[Outcome] = []
        self._waiting_contact: list[Outcome] = []

    def learn(self, counts: Mapping[tuple[Source, RequestState], int]) -> None:
        """What the same run has found out before, of one window: in one that is finished, or in
        tries at this one that were killed."""
        mains = counts.get((Source.MAIN, RequestState.ANSWERED), 0)
        archives = counts.get((Source.ARCHIVE, RequestState.ANSWERED), 0)
        if mains or archives:
            self._anybody_answered = self._anybody_known = True
        self._mains_before = max(self._mains_before, mains)
        if archives:
            self._archive_answered = True
        if counts.get((Source.ARCHIVE, RequestState.UNAVAILABLE), 0):
            self.archive_unavailable = True

    def answered(self, outcome: Outcome) -> list[Outcome]:
        """An answer came: contacts that wait are gone, and its source is there."""
        final = [outcome]
        self._anybody_known = True
        if (
            outcome.request.source is Source.MAIN
            and len(self._mains) < CONTACTS_TO_CONDEMN_A_SOURCE
        ):
            self._mains.add(outcome.request.contact_id)
        if not self._anybody_answered:
            self._anybody_answered = True
            final += self._waiting_contact
            self._waiting_contact = []
        if outcome.request.source is Source.ARCHIVE and not self._archive_answered:
            self._archive_answered = True
            final += self._waiting_archive
            self._waiting_archive = []
        return final

    def errored(self, outcome: Outcome) -> list[Outcome]:
        """All attempts ended, the last one with an errorMessage."""
        self._anybody_known = True
        if outcome.request.source is not Source.ARCHIVE or self._archive_answered:
            return [outcome]
        if self.archive_unavailable:
            return [unavailable(outcome)]
        self._waiting_archive.append(outcome)
        if len(self._waiting_archive) < CONTACTS_TO_CONDEMN_A_SOURCE:
            return []
        return self._condemn_archive()

    def failed(self, outcome: Outcome) -> list[Outcome]:
        """The request failed in another way, which tells nothing of sources and lists but that
        not all of its first contacts are unknown."""
        self._anybody_known = True
        return [outcome]

    def unknown(self, outcome: Outcome) -> list[Outcome]:
        """The server does not know the contact. Raises ServerUnusable where it knows none."""
        if outcome.request.contact_id in self._unproven:
            return [_unproven(outcome)]
        if self._anybody_answered:
            return [outcome]
        self._waiting_contact.append(outcome)
        unknown = self._unknown_contacts()
        if unknown < CONTACTS_TO_CONDEMN_A_LIST:
            return []
        if not self._anybody_known:
            raise _not_customers(unknown)
        return self._leave_unproven()

    def at_end(self, contacts: int, mains_spared: int = 0) -> list[Outcome]:
        """The window is asked through, for so many contacts; nothing waits any longer. Mains that
        were spared had been answered by an earlier run."""
        if self._waiting_contact and self._unknown_contacts() >= contacts:
            raise _not_customers(contacts)
        final = self._leave_unproven()
        mains = max(self._mains_before, len(self._mains)) + mains_spared
        enough = min(mains or contacts, CONTACTS_TO_CONDEMN_A_SOURCE)
        if self._waiting_archive and len(self._waiting_archive) >= enough:
            return final + self._condemn_archive()
        final += self._waiting_archive
        self._waiting_archive = []
        return final

    def _unknown_contacts(self) -> int:
        return len({waiting.request.contact_id for waiting in self._waiting_contact})

    def _leave_unproven(self) -> list[Outcome]:
        """Nobody was answered, so nothing shows that these contacts are gone: they failed."""
        final = [_unproven(outcome) for outcome in self._waiting_contact]
        self._unproven.update(outcome.request.contact_id for outcome in self._waiting_contact)
        self._waiting_contact = []
        return final

    def _condemn_archive(self) -> list[Outcome]:
        self.archive_unavailable = True
        final = [unavailable(outcome) for outcome in self._waiting_archive]
        self._waiting_archive = []
        return final


def _unproven(outcome: Outcome) -> Outcome:
    return replace(outcome, state=RequestState.FAILED, error="contact unknown, as nobody answered")


def unavailable(outcome: Outcome) -> Outcome:
    return replace(outcome, state=RequestState.UNAVAILABLE, error="source unavailable")


def _not_customers(contacts: int) -> ServerUnusable:
    return ServerUnusable(
        f"the server knows none of the first {contacts} contacts: these ids are not customers' "
        "ids; see HISTORY_CONTACTS in the README (GET /api/v2/contacts lists agents on most sites)"
    )
