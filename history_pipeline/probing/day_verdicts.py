"""Verdicts on where days begin, whether `toDate` is in, and the offsets of the answers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from history_pipeline.history.zones import likely_zones, offset_at
from history_pipeline.probing.days import SAMPLE, UTC, Reckoning, by_likelihood
from history_pipeline.probing.finding import Finding, Question, notable, settled, unsettled
from history_pipeline.probing.seen import Sighting

_NAMED = 3


def to_date(reckoning: Reckoning, overlap_days: int) -> Finding:
    question, left = Question.TO_DATE, reckoning.surviving
    if not reckoning.is_answered:
        return unsettled(question, "no answer about single days was had")
    if not left:
        return unsettled(question, _CONTRADICTION)
    match {each.is_included for each in left}:
        case kinds if kinds == {True}:
            return settled(question, "yes", HISTORY_OVERLAP_DAYS=overlap_days)
        case kinds if kinds == {False}:
            told = "no: what starts on that day is left out"
            if overlap_days:
                return settled(
                    question,
                    f"{told}; the overlap makes up for it",
                    HISTORY_OVERLAP_DAYS=overlap_days,
                )
            return notable(question, f"{told}; an overlap is needed", HISTORY_OVERLAP_DAYS=1)
    return unsettled(
        question, "the contact's interactions do not tell; give another with --contact"
    )


def zone(reckoning: Reckoning) -> Finding:
    """In which zone bare dates are cut, compared with GWS_TIMEZONE."""
    question, left = Question.DAYS, reckoning.surviving
    configured = reckoning.configured
    if not reckoning.is_answered:
        return unsettled(question, "no answer about single days was had")
    if not left:
        return unsettled(question, _CONTRADICTION)
    names = [name for each in left for name in each.zones]
    if configured not in names:
        return _elsewhere(by_likelihood(names, reckoning), reckoning)
    if rivals := reckoning.rivals:
        return unsettled(
            question,
            f"{configured} fits, and so does {_some(rivals)}: no interaction lies where their days "
            "differ; give a contact who is active at night with --contact",
            GWS_TIMEZONE=configured,
        )
    return settled(
        question,
        f"{configured}; {UTC} and the like are ruled out"
        if UTC not in names
        else f"{configured}, where the days are those of {UTC}",
        GWS_TIMEZONE=configured,
    )


def _elsewhere(names: Sequence[str], reckoning: Reckoning) -> Finding:
    """`names` are zones that fit, the likeliest first."""
    told = f"not in GWS_TIMEZONE={reckoning.configured}: days begin as in {_some(names)}"
    if reckoning.rivals:
        return notable(Question.DAYS, f"{told}; ask which zone it is, and set it")
    return notable(
        Question.DAYS, f"{told}; set it, then `rebuild` what was loaded", GWS_TIMEZONE=names[0]
    )


def offsets(sightings: Sequence[Sighting], configured: str) -> Finding:
    """What the starts are written with."""
    if not sightings:
        return unsettled(Question.OFFSETS, "no start was seen")
    info = ZoneInfo(configured)
    fitting = sum(each.offset == offset_at(info, each.moment) for each in sightings)
    told = f"{fitting} of {len(sightings)} are those of GWS_TIMEZONE={configured}"
    if fitting * 2 > len(sightings):
        return settled(Question.OFFSETS, told)
    if not any(each.offset for each in sightings):
        return notable(Question.OFFSETS, "all UTC, which some servers write whatever their zone is")
    sample = [(each.moment, each.offset) for each in sightings[:SAMPLE]]
    likely = likely_zones(sample, configured)
    return notable(Question.OFFSETS, f"{told}; most are those of {_some(likely)}")


_CONTRADICTION = (
    "the answers about single days fit no zone; the contact's history may have changed meanwhile"
)


def _some(names: Sequence[str]) -> str:
    more = " …" if len(names) > _NAMED else ""
    return " or ".join(names[:_NAMED]) + more
