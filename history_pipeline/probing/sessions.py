"""What two sessions of one user share. Pure."""

from __future__ import annotations

from history_pipeline.probing.finding import Finding, Question, notable, settled, unsettled

QUESTIONS = (Question.REFERENCE_IDS, Question.HEARING)


def one_at_a_time(question: Question) -> Finding:
    """The first session was lost while the second one was open."""
    return notable(
        question, "a second session of the user ends the first one: let the pipeline have its own"
    )


def is_one_counter(before: str, there: str, after: str) -> bool | None:
    """Whether reference ids of two sessions come from one counter: the last one of the first
    session, the first one of the second, and the next one of the first. None where they are no
    numbers."""
    if not all(each.isdecimal() for each in (before, there, after)):
        return None
    return int(before) < int(there) < int(after)


def reference_ids(before: str, there: str, after: str) -> Finding:
    told = f"{before} here, {there} there, {after} here again"
    match is_one_counter(before, there, after):
        case None:
            return unsettled(Question.REFERENCE_IDS, "they are no numbers; they are told as texts")
        case True:
            return settled(Question.REFERENCE_IDS, f"one counter for all sessions: {told}")
        case _:
            return settled(Question.REFERENCE_IDS, f"each session counts its own: {told}")


def hearing(strange_here: int, strange_there: int, *, is_one_counter: bool | None) -> Finding:
    """How many notifications came to each session that were for nobody there, while the other one
    asked."""
    if not strange_here and not strange_there:
        return settled(Question.HEARING, "the session that has asked, and no other")
    told = "other sessions too: answers that were asked for elsewhere came"
    if is_one_counter:
        return notable(Question.HEARING, f"{told}; they are told apart by their reference ids")
    return notable(
        Question.HEARING,
        f"{told}, and their reference ids can be the same: let nobody else ask for history with "
        "this user's channel while the pipeline runs",
    )
