"""What the operator sets: environment variables, or a `.env` file in the working directory.

Checked as a whole before anything is sent; every mistake is named in one ConfigurationError.
Knows names, defaults and ranges; how a server is reached is `access`'s. Does not open files or
connections, except for `.env` and those files that `access` reads.
"""

from __future__ import annotations

from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BeforeValidator, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from history_pipeline import business_hours, logs
from history_pipeline.access import (
    Credentials,
    Headers,
    ProxySettings,
    Trust,
    Webhook,
    blank_is_none,
    env,
    from_json,
)
from history_pipeline.business_hours import BusinessHours
from history_pipeline.errors import ConfigurationError
from history_pipeline.model import REQUESTABLE_MEDIA_TYPES, Source

DEFAULT_DATA_DIR = Path("data")
DEFAULT_START_DATE = date(2015, 1, 1)
_WHERE_TO_READ = "see the README, «Pointing it at a real server»"


def _sources(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _blank_is_default_directory(value: Any) -> Any:
    return DEFAULT_DATA_DIR if isinstance(value, str) and not value.strip() else value


def _list(value: str, complaint: str) -> str:
    """Where a list of contacts comes from; a path is made absolute."""
    if value == "gws":
        return value
    if not value.startswith("file:") or not value.removeprefix("file:").strip():
        raise ValueError(complaint)
    return f"file:{Path(value.removeprefix('file:')).absolute()}"


def _hours(value: Any) -> Any:
    text = blank_is_none(value)
    return business_hours.parse(text) if isinstance(text, str) else text


def _blank_is_text(value: Any) -> Any:
    return blank_is_none(value) or "text"


def _zone(value: str, complaint: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as exc:
        raise ValueError(complaint) from exc
    return value


_APART = (Credentials, Headers, ProxySettings, Trust, Webhook)
"""Where a field is wrong, checks of the whole do not run: these are made up for one by one."""


class Settings(Credentials, Headers, ProxySettings, Trust, Webhook):
    """Section 2.2 of the design, one field a variable."""

    url: str = env("GWS_URL")
    username: str = env("GWS_USERNAME", min_length=1)
    basic_encoding: Literal["utf-8", "iso-8859-1"] = env("GWS_BASIC_ENCODING", "utf-8")
    timezone: str = env("GWS_TIMEZONE")
    notifications_path: str = env("GWS_NOTIFICATIONS_PATH", "/api/v2/notifications")
    channel: str = env("GWS_CHANNEL", "/v2/ucs/interactions")
    concurrency: int = env("GWS_CONCURRENCY", 4, ge=1, le=1024)
    concurrency_floor: int = env("GWS_CONCURRENCY_FLOOR", 1, ge=1)
    business_hours: Annotated[BusinessHours | None, BeforeValidator(_hours)] = env(
        "GWS_BUSINESS_HOURS", None
    )
    business_concurrency: Annotated[int | None, BeforeValidator(blank_is_none)] = env(
        "GWS_BUSINESS_CONCURRENCY", None, ge=1, validate_default=True
    )
    requests_per_second: float = env("GWS_REQUESTS_PER_SECOND", 5.0, ge=0, allow_inf_nan=False)
    notification_timeout: float = env("GWS_NOTIFICATION_TIMEOUT", 60.0, gt=0, allow_inf_nan=False)
    max_attempts: int = env("GWS_MAX_ATTEMPTS", 5, ge=1)
    canary_interval: float = env("GWS_CANARY_INTERVAL", 30.0, gt=0, allow_inf_nan=False)
    data_dir: Annotated[Path, BeforeValidator(_blank_is_default_directory)] = env(
        "HISTORY_DATA_DIR", DEFAULT_DATA_DIR
    )
    contacts: str = env("HISTORY_CONTACTS")
    full_list: Annotated[str | None, BeforeValidator(blank_is_none)] = env(
        "HISTORY_FULL_LIST", None
    )
    contacts_path: str = env("GWS_CONTACTS_PATH", "/api/v2/contacts")
    start_date: date = env("HISTORY_START_DATE", DEFAULT_START_DATE)
    sources: Annotated[tuple[Source, ...], NoDecode, BeforeValidator(_sources)] = env(
        "HISTORY_SOURCES", (Source.MAIN, Source.ARCHIVE)
    )
    media_type: Annotated[str | None, BeforeValidator(blank_is_none)] = env(
        "HISTORY_MEDIA_TYPE", None
    )
    custom_attributes: Annotated[tuple[str, ...] | None, NoDecode, BeforeValidator(from_json)] = (
        env("HISTORY_CUSTOM_ATTRIBUTES", None)
    )
    search_attributes: Annotated[dict[str, str] | None, NoDecode, BeforeValidator(from_json)] = env(
        "HISTORY_SEARCH_ATTRIBUTES", None
    )
    window_days: int = env("HISTORY_WINDOW_DAYS", 31, ge=1, le=366)
    overlap_days: int = env("HISTORY_OVERLAP_DAYS", 1, ge=0, le=31)
    lookback_days: int = env("HISTORY_LOOKBACK_DAYS", 7, ge=1, le=31)
    audit_share: float = env("HISTORY_AUDIT_SHARE", 0.005, ge=0, le=1, allow_inf_nan=False)
    log_format: Annotated[logs.Format, BeforeValidator(_blank_is_text)] = env(
        "HISTORY_LOG_FORMAT", "text"
    )
    business_timezone: Annotated[str | None, BeforeValidator(blank_is_none)] = env(
        "HISTORY_BUSINESS_TIMEZONE", None
    )

    @field_validator("url")
    @classmethod
    def _is_a_base_url(cls, value: str) -> str:
        parts = urlsplit(value.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a base URL such as https://gws.example.com")
        if parts.username or parts.password:
            raise ValueError("must not hold credentials; use GWS_USERNAME and GWS_PASSWORD")
        if parts.query or parts.fragment:
            raise ValueError("must be a base URL, without query or fragment")
        return value.strip().rstrip("/").removesuffix("/api/v2")

    @field_validator("username")
    @classmethod
    def _has_no_colon(cls, value: str) -> str:
        if ":" in value:
            raise ValueError("must not hold a colon: Basic credentials end the name there")
        return value

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        return _zone(value, "is no IANA time zone; give the server's own, such as Europe/Berlin")

    @field_validator("business_timezone")
    @classmethod
    def _is_a_zone_if_any(cls, value: str | None) -> str | None:
        return value and _zone(
            value, "is no IANA time zone; give one such as Europe/Berlin, or leave it unset"
        )

    @field_validator("media_type")
    @classmethod
    def _is_a_media_type(cls, value: str | None) -> str | None:
        if value is not None and value not in REQUESTABLE_MEDIA_TYPES:
            raise ValueError(f"must be one of {', '.join(REQUESTABLE_MEDIA_TYPES)}, or unset")
        return value

    @field_validator("sources")
    @classmethod
    def _main_comes_first(cls, value: tuple[Source, ...]) -> tuple[Source, ...]:
        if not value:
            raise ValueError("must name main, archive or both")
        return tuple(source for source in Source if source in value)

    @field_validator("contacts")
    @classmethod
    def _is_a_contact_source(cls, value: str) -> str:
        return value if value == "activity" else _list(value, "must be gws, activity or file:PATH")

    @field_validator("full_list")
    @classmethod
    def _is_a_list_behind_activity(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        # where the contacts are wrong themselves, that is the mistake to name
        if info.data.get("contacts", "activity") != "activity":
            raise ValueError(
                "makes up for what HISTORY_CONTACTS=activity cannot list, and is of no use with "
                "another list; unset it, or set HISTORY_CONTACTS=activity"
            )
        return _list(value, "must be gws or file:PATH, or unset")

    @field_validator("notifications_path", "channel", "contacts_path")
    @classmethod
    def _starts_with_a_slash(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("must start with /")
        return value

    @field_validator("data_dir")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("concurrency_floor")
    @classmethod
    def _is_below_the_most(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("concurrency", value):
            raise ValueError("must not be above GWS_CONCURRENCY")
        return value

    @field_validator("business_concurrency")
    @classmethod
    def _belongs_to_hours(cls, value: int | None, info: ValidationInfo) -> int | None:
        if "business_hours" in info.data and (value is None) != (
            info.data["business_hours"] is None
        ):
            raise ValueError("goes together with GWS_BUSINESS_HOURS; set both, or neither")
        if value is not None and value > info.data.get("concurrency", value):
            raise ValueError("must not be above GWS_CONCURRENCY, which holds at all hours")
        return value

    # -- what follows from the variables ------------------------------------------------------

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def business_zone(self) -> str:
        """The zone that analysts' days and hours are cut in."""
        return self.business_timezone or self.timezone

    @cached_property
    def asked_attributes(self) -> tuple[str, ...]:
        """Names to ask for: those configured and those searched by, sorted, each once."""
        names = set(self.custom_attributes or ()) | set(self.search_attributes or {})
        return tuple(sorted(names))

    @property
    def column_attributes(self) -> tuple[str, ...]:
        """The same in the order of the configuration, those searched by last: one that is added
        at the end leaves the others' columns as they are."""
        return tuple(
            dict.fromkeys((*(self.custom_attributes or ()), *(self.search_attributes or {})))
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether runs see only a part of the site, and so can mark no day complete."""
        return self.media_type is not None or bool(self.search_attributes)

    @property
    def contact_source(self) -> str:
        """`gws`, `activity` or `file`."""
        return self.contacts.split(":", 1)[0]


def load(**overrides: Any) -> Settings:
    """The settings in force. Raises ConfigurationError that names every mistake."""
    try:
        return Settings(**overrides)
    except ValidationError as exc:
        lines = [_describe(error) for error in exc.errors(include_input=False)]
    for each in _APART:
        try:
            each(**overrides)
        except ValidationError as exc:
            lines += [_describe(error) for error in exc.errors(include_input=False)]
    unique = dict.fromkeys(lines)
    raise ConfigurationError(
        "\n".join(["the configuration is not usable:", *(f"  - {line}" for line in unique)])
    )


def load_webhook() -> str | None:
    """Where failures are told, whatever else is wrong with the configuration: that may be what has
    failed. Raises ConfigurationError."""
    try:
        return Webhook().webhook
    except ValidationError as exc:
        lines = [_describe(error) for error in exc.errors(include_input=False)]
    raise ConfigurationError("; ".join(lines))


def _describe(error: Any) -> str:
    name = str(error["loc"][0]) if error["loc"] else ""
    field = Settings.model_fields.get(name)
    if field is not None and isinstance(field.validation_alias, AliasChoices):
        name = str(field.validation_alias.choices[0])  # a default's mistake goes by the field
    if error["type"] == "missing":
        return f"{name} is missing; {_WHERE_TO_READ}"
    text = str(error["msg"]).removeprefix("Value error, ")
    if not name:
        return text
    inner = ".".join(str(part) for part in error["loc"][1:])
    return f"{name}{f' ({inner})' if inner and inner.isidentifier() else ''}: {text}"
