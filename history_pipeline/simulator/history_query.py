"""What a history request asks for, and what is wrong with it.

Knows the parameters of RetrieveContactHistory and RetrieveInteractionHistory, their values,
defaults and status codes. Does not know HTTP, records or where the request came from.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from history_pipeline.simulator.calendar_days import midnight_ms

CONTACT_HISTORY = "RetrieveContactHistory"
INTERACTION_HISTORY = "RetrieveInteractionHistory"

PARAMETER_MISSING, VALUE_INVALID, FORBIDDEN, NOT_FOUND, OUT_OF_RANGE = 1, 2, 3, 6, 10
NOT_AUTHENTICATED = 20

MEDIA_TYPES = frozenset(
    ("call", "chat", "email", "facebook", "facebooksession", "openmedia", "twitter", "workitem")
)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DEFAULT_MAX_SIZE = 100


class Refused(Exception):
    """The request is not accepted; `status_code` is the envelope's, `http_status` where the usual
    one is not meant."""

    def __init__(self, status_code: int, message: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message
        self.http_status = http_status


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Starts from `from_ms` to before `until_ms`; `max_size` None is all there are."""

    from_ms: int
    until_ms: int
    source: str
    ascending: bool
    media_type: str | None
    attributes: tuple[str, ...]
    search: tuple[tuple[str, str], ...]
    max_size: int | None


@dataclass(frozen=True, slots=True)
class QueryRules:
    """How this server reads days, how much of them it grants, and what else it makes of a
    request."""

    zone: ZoneInfo
    to_date_included: bool = True
    sort_obeyed: bool = True
    source_obeyed: bool = True
    max_size_refused_above: int | None = None
    max_size_cut_at: int | None = None


def month_before(day: date) -> date:
    year, month = (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def parse_query(body: Any, operation: str, rules: QueryRules, today: date) -> HistoryQuery:
    """Raises Refused with the status code of the first thing that is wrong."""
    if not isinstance(body, Mapping):
        raise Refused(VALUE_INVALID, "a JSON object is expected")
    named = body.get("operationName")
    if named is None:
        raise Refused(PARAMETER_MISSING, "operationName is missing")
    if named != operation:
        raise Refused(FORBIDDEN, "unknown operation")
    from_day = _day(body, "fromDate", month_before(today))
    to_day = _day(body, "toDate", today)
    if from_day > to_day:
        raise Refused(OUT_OF_RANGE, "fromDate is after toDate")
    until = to_day + timedelta(days=1) if rules.to_date_included else to_day
    media_type = _choice(body, "mediaType", MEDIA_TYPES)
    source = _choice(body, "source", frozenset(("main", "archive"))) or "main"
    ascending = _choice(body, "sort", frozenset(("asc", "desc"))) == "asc"
    return HistoryQuery(
        from_ms=midnight_ms(rules.zone, from_day),
        until_ms=midnight_ms(rules.zone, until),
        source=source if rules.source_obeyed else "main",
        ascending=ascending and rules.sort_obeyed,
        media_type=media_type,
        attributes=_names(body),
        search=_search(body),
        max_size=_max_size(body, rules) if operation == INTERACTION_HISTORY else None,
    )


def _day(body: Mapping[str, Any], name: str, default: date) -> date:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise Refused(VALUE_INVALID, f"{name} is not of the form yyyy-MM-dd")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise Refused(VALUE_INVALID, f"{name} is no day") from None


def _choice(body: Mapping[str, Any], name: str, allowed: frozenset[str]) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or value.casefold() not in allowed:
        raise Refused(VALUE_INVALID, f"{name} has an unknown value")
    return value.casefold()


def _names(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = body.get("customAttributes")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise Refused(VALUE_INVALID, "customAttributes is no list of names")
    return tuple(dict.fromkeys(value))


def _search(body: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    value = body.get("searchCustomAttributes")
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
        raise Refused(VALUE_INVALID, "searchCustomAttributes maps no names to texts")
    return tuple(value.items())


def _max_size(body: Mapping[str, Any], rules: QueryRules) -> int:
    value = body.get("maxSize")
    if value is None:
        return _DEFAULT_MAX_SIZE
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(VALUE_INVALID, "maxSize is no whole number")
    if value < 1:
        raise Refused(OUT_OF_RANGE, "maxSize is less than 1")
    if rules.max_size_refused_above is not None and value > rules.max_size_refused_above:
        raise Refused(OUT_OF_RANGE, "maxSize is out of range")
    return value if rules.max_size_cut_at is None else min(value, rules.max_size_cut_at)
