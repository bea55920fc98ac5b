"""Messages on the history channel that answer nobody here.

Knows how other users' answers and other operations' messages look (guide, 1.2 and 1.3). Does
not know who gets them. What they hold is made up, so that it shows wherever it is taken for
true: ids that begin with `9999` are of no world.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from history_pipeline.simulator.answers import CHANNEL, MESSAGE_TYPE, encode

STRANGER = "9999Stranger0000"


def foreign(reference_id: int, start: str) -> bytes:
    """Another user's answer: whole and well-formed, with an interaction at `start`."""
    interaction = {
        "id": f"9999{reference_id:012}",
        "contactId": STRANGER,
        "typeId": "Inbound",
        "mediaType": "chat",
        "state": "Stopped",
        "startDate": start,
        "endDate": start,
        "subject": "of a stranger",
    }
    return _message(reference_id, messageType=MESSAGE_TYPE, interactions=[interaction])


def _message(reference_id: int, **told: Any) -> bytes:
    return encode({"channel": CHANNEL, "data": {"referenceId": reference_id, **told}})


OTHER_TYPES: dict[str, Callable[[int], bytes]] = {
    "content": lambda reference_id: _message(
        reference_id, messageType="GetInteractionContentMessage", interaction={"id": STRANGER}
    ),
    "operation": lambda reference_id: _message(
        reference_id, messageType="UcsOperationResponse", success=True
    ),
    "operation failed": lambda reference_id: _message(
        reference_id,
        messageType="UcsOperationResponse",
        success=False,
        errorMessage="UCS request failed",
    ),
    "identified": lambda reference_id: _message(reference_id, contactId=STRANGER),
    "empty list": lambda reference_id: _message(
        reference_id, messageType="GetAgentInteractionsMessage", interactions=[]
    ),
}
"""Kind → a message of that kind; none of them answers a history request with this id.

`identified` has no `messageType` at all, as the samples of IdentifyUCSContact.
"""
