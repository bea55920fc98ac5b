"""Verdicts on answers about one contact: order, length, archive, time. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from history_pipeline.probing.finding import Finding, Question, notable, settled, unsettled
from history_pipeline.probing.seen import Ending, Reply, Seen
from history_pipeline.settings import Settings

USUAL_LIMIT = 100
"""What the operations beside RetrieveContactHistory stop at (guide, 5.3)."""

_ROUND = 50
_DAY = 86_400
_UNDER_LOAD = 20
"""Times as long as an answer to a lone question takes, a notification is waited for."""

LEAST_TIMEOUT, LEAST_CANARY_INTERVAL = 60.0, 30.0


def order(ascending: Reply, descending: Reply) -> Finding:
    """The same question with `sort` either way."""
    for reply in (ascending, descending):
        if not reply.is_answered:
            return unsettled(Question.SORT, f"no answer to compare: {reply}")
    up, down = ascending.seen.moments, descending.seen.moments
    if len(set(up)) < 2 or len(set(down)) < 2:
        return unsettled(
            Question.SORT, "the contact has too few interactions; give another with --contact"
        )
    match _rises(up), _rises(down):
        case True, False:
            return settled(Question.SORT, "yes, by start: asc oldest first, desc newest first")
        case True, True:
            told = "no: the oldest comes first either way"
        case False, False:
            told = "no: the newest comes first either way"
        case False, True:
            told = "the wrong way round: asc begins with the newest"
        case _:
            told = "no: answers are not in the order of their starts"
    return notable(Question.SORT, f"{told}; nothing relies on it")


def _rises(moments: Sequence[int]) -> bool | None:
    """Whether they rise, or fall; None for neither."""
    if all(one <= other for one, other in pairwise(moments)):
        return True
    return False if all(one >= other for one, other in pairwise(moments)) else None


def left_out(whole: Seen, others: Sequence[Seen]) -> frozenset[str]:
    """What other answers over the same span, or parts of it, held and this one did not."""
    return frozenset[str]().union(*(each.ids for each in others)) - whole.ids


def length(whole: Seen, others: Sequence[Seen], *, is_halved: bool, window_days: int) -> Finding:
    """An answer over a long span against others that should hold nothing else: the other way
    round, and its halves, if `is_halved`."""
    question = Question.LENGTH
    missing = left_out(whole, others)
    if missing:
        return notable(
            question,
            f"yes, at {whole.total}: asked in parts, the contact has {len(missing)} more at least; "
            "shorter windows stay below it, for contacts like this one",
            HISTORY_WINDOW_DAYS=_shorter(whole, window_days),
        )
    if whole.total >= USUAL_LIMIT:
        told = f"{whole.total} interactions came in one answer"
        if is_halved:
            return settled(question, f"no: {told}, and its halves hold no others")
        if whole.total % _ROUND == 0:
            return unsettled(question, f"{told}, a round number, and could not be halved")
        return settled(question, f"not at a round number: {told}")
    return unsettled(
        question,
        f"not below {whole.total}, all that the contact has; "
        f"for {USUAL_LIMIT} and more, give a busier one with --contact",
    )


def _shorter(cut: Seen, window_days: int) -> int:
    """Days in which this contact has half of what an answer held."""
    moments = cut.moments or [0]
    days = (max(moments) - min(moments)) // _DAY + 1
    return max(1, min(window_days, days // 2))


def archive(reply: Reply, main: Reply | None) -> Finding:
    """The same question with `source` archive and, if it was answered, main."""
    question = Question.ARCHIVE
    if reply.is_answered:
        found = reply.seen.ids
        if found and main is not None and main.is_answered and found == main.seen.ids:
            return notable(
                question,
                "answers just what main does: `source` seems to be ignored, as from UCS 9 on",
                HISTORY_SOURCES="main",
            )
        told = f"answers, with {reply.seen.total} interactions of this contact"
        return settled(question, told, HISTORY_SOURCES="main,archive")
    if reply.ending in (Ending.ERROR, Ending.REFUSED):
        return notable(question, f"not offered: {reply}", HISTORY_SOURCES="main")
    return unsettled(question, f"{reply}")


def unknown(reply: Reply) -> Finding:
    """A question about a contact that is nowhere."""
    question = Question.UNKNOWN
    match reply.ending:
        case Ending.UNKNOWN:
            return settled(question, f"are refused ({reply.reason}): they end as `gone`")
        case Ending.ANSWERED if not reply.seen.total:
            return notable(
                question,
                "get an empty answer: wrong ids look like silent contacts, so make sure of "
                "HISTORY_CONTACTS",
            )
        case Ending.ERROR:
            return notable(question, "get an errorMessage: they end as failed, not as `gone`")
        case Ending.REFUSED:
            return notable(question, f"are {reply}: they end as failed, not as `gone`")
        case Ending.ANSWERED:
            return unsettled(question, "the id that nobody should have has interactions")
    return unsettled(question, f"{reply}")


def time(seconds: Sequence[float], interval: float, settings: Settings) -> Finding:
    """How long answers took from acceptance; `interval` is the server's advice."""
    if not seconds:
        return unsettled(Question.TIME, "nothing was answered")
    longest = max(seconds)
    timeout = max(LEAST_TIMEOUT, _generous(_UNDER_LOAD * longest + interval))
    canary = max(LEAST_CANARY_INTERVAL, _generous(_UNDER_LOAD / 2 * longest + interval))
    told = (
        f"p50 {median(seconds):.2f} s, longest {longest:.2f} s, of {len(seconds)} to one question "
        "at a time"
    )
    is_enough = settings.notification_timeout >= timeout and settings.canary_interval >= canary
    return (settled if is_enough else notable)(
        Question.TIME,
        told if is_enough else f"{told}; under load it will be more, so wait longer",
        GWS_NOTIFICATION_TIMEOUT=f"{max(timeout, settings.notification_timeout):g}",
        GWS_CANARY_INTERVAL=f"{max(canary, settings.canary_interval):g}",
    )


def _generous(seconds: float) -> float:
    """Rounded up to half a minute."""
    return math.ceil(seconds / 30) * 30.0
