"""Why a step failed, in words that may be shown to anybody.

Dagster keeps an error as texts: its class, its message and where it came from. Our own errors speak
for themselves; of foreign ones only the class is told, for their texts may quote a customer's data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dagster_shared.error import SerializableErrorInfo

from history_pipeline import errors

REQUESTS_FAILED, _CONFIGURATION, _SERVER, OTHER = 1, 2, 3, 4
_LONGEST = 500


class Reason(NamedTuple):
    """`status` is the exit status that the command would have ended with."""

    status: int
    text: str


def of(error: SerializableErrorInfo | None) -> Reason:
    """The reason that an error gives, whatever it is wrapped in."""
    told = list(_chain(error))
    for each in told:
        kind = getattr(errors, each.cls_name or "", None)
        if isinstance(kind, type) and issubclass(kind, errors.PipelineError):
            text = each.message.strip().partition(": ")[2]
            return Reason(_status(kind), text[:_LONGEST] or kind.__name__)
    innermost = told[-1].cls_name if told else None
    return Reason(OTHER, f"unforeseen {innermost}" if innermost else "the run ended early")


def _status(kind: type[errors.PipelineError]) -> int:
    if issubclass(kind, errors.ConfigurationError):
        return _CONFIGURATION
    return _SERVER if issubclass(kind, errors.ServerUnusable) else OTHER


def _chain(error: SerializableErrorInfo | None) -> Iterator[SerializableErrorInfo]:
    while error is not None:
        yield error
        error = error.cause or error.context
