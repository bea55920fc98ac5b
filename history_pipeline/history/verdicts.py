"""What only several requests together can tell. Pure.

A source is `unavailable` when 5 different contacts (all, if there are fewer) whose main was
answered got an errorMessage for it after all attempts, and none has had an answer. A contact is
`gone` when the server does not know it while it answers for others. Until that is known, such
outcomes wait here: never more than 5 and 20 of them, and the requests in flight.
"""

from __future__ import annotations

from dataclasses import replace

from history_pipeline.errors import ServerUnusable
from history_pipeline.model import Outcome, RequestState, Source

CONTACTS_TO_CONDEMN_A_SOURCE = 5
CONTACTS_TO_CONDEMN_A_LIST = 20


class Verdicts:
    """Judges the outcomes of one run as they come. Outcomes given back are final."""

    def __init__(
        self, *, answered_before: bool = False, archive_answered: bool = False,
        archive_unavailable: bool = False,
    ) -> None:
        self._anybody_answered = answered_before
        self._archive_answered = archive_answered
        self.archive_unavailable = archive_unavailable
        self._waiting_archive: list[Outcome] = []
        self._waiting_contact: list[Outcome] = []

    def answered(self, outcome: Outcome) -> list[Outcome]:
        """An answer came: contacts that wait are gone, and its source is there."""
        final = [outcome]
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
        if outcome.request.source is not Source.ARCHIVE or self._archive_answered:
            return [outcome]
        if self.archive_unavailable:
            return [unavailable(outcome)]
        self._waiting_archive.append(outcome)
        if len(self._waiting_archive) < CONTACTS_TO_CONDEMN_A_SOURCE:
            return []
        return self._condemn_archive()

    def unknown(self, outcome: Outcome) -> list[Outcome]:
        """The server does not know the contact. Raises ServerUnusable where it knows none."""
        if self._anybody_answered:
            return [outcome]
        self._waiting_contact.append(outcome)
        contacts = {waiting.request.contact_id for waiting in self._waiting_contact}
        if len(contacts) >= CONTACTS_TO_CONDEMN_A_LIST:
            raise _not_customers(len(contacts))
        return []

    def at_end(self, contacts: int) -> list[Outcome]:
        """The window is asked through, for so many contacts; nothing waits any longer."""
        if self._waiting_contact and not self._anybody_answered:
            raise _not_customers(len(self._waiting_contact))
        if self._waiting_archive and len(self._waiting_archive) >= min(
            contacts, CONTACTS_TO_CONDEMN_A_SOURCE
        ):
            return self._condemn_archive()
        final, self._waiting_archive = self._waiting_archive, []
        return final

    def _condemn_archive(self) -> list[Outcome]:
        self.archive_unavailable = True
        final = [unavailable(outcome) for outcome in self._waiting_archive]
        self._waiting_archive = []
        return final


def unavailable(outcome: Outcome) -> Outcome:
    return replace(outcome, state=RequestState.UNAVAILABLE, error="source unavailable")


def _not_customers(contacts: int) -> ServerUnusable:
    return ServerUnusable(
        f"the server knows none of the first {contacts} contacts: these ids are not customers' "
        "ids; see HISTORY_CONTACTS in the README (GET /api/v2/contacts lists agents on most sites)"
    )
