"""What opens the way to a server: password, headers, proxy, and whom TLS trusts.

Each concern is a class of variables of its own, so that the mistakes of one are named beside those
of all others. Secrets may lie in files. Knows TLS files and URLs; makes no connection.
"""

from __future__ import annotations

import json
import re
import ssl
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from history_pipeline.errors import ConfigurationError

T = TypeVar("T")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")


def blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def from_json(value: Any) -> Any:
    """Names hold commas and quotes, so lists are JSON; a bad one is a named mistake."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError as exc:
        raise ValueError(f"is not JSON (column {getattr(exc, 'colno', '?')})") from None


def env(name: str, default: Any = ..., **limits: Any) -> Any:
    return Field(default, validation_alias=AliasChoices(name), **limits)


OptionalPath = Annotated[Path | None, BeforeValidator(blank_is_none)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(blank_is_none)]


class FromEnvironment(BaseSettings):
    """Read as all of the configuration is: from the environment, or from `.env`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        ignored_types=(cached_property,),
        hide_input_in_errors=True,
    )


class Credentials(FromEnvironment):
    """The password, or the file that holds it."""

    password: OptionalSecret = env("GWS_PASSWORD", None)
    password_file: OptionalPath = env("GWS_PASSWORD_FILE", None)

    @model_validator(mode="after")
    def _has_one_password(self) -> Self:
        if self.password is None and self.password_file is None:
            raise ValueError("GWS_PASSWORD (or GWS_PASSWORD_FILE) is missing")
        _ = self.secret
        return self

    @cached_property
    def secret(self) -> str:
        """The password itself."""
        return _one_of("GWS_PASSWORD", self.password, self.password_file) or ""


class Headers(FromEnvironment):
    """Further headers; they may hold a key, so they may lie in a file."""

    headers_told: Annotated[dict[str, str] | None, NoDecode, BeforeValidator(from_json)] = env(
        "GWS_HEADERS", None, repr=False
    )
    headers_file: OptionalPath = env("GWS_HEADERS_FILE", None)

    @field_validator("headers_told")
    @classmethod
    def _can_be_sent(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        return value and _sendable(value)

    @model_validator(mode="after")
    def _has_headers_once(self) -> Self:
        _ = self.headers
        return self

    @cached_property
    def headers(self) -> dict[str, str]:
        """The further headers in force; none is an empty dict."""
        text = _one_of("GWS_HEADERS", self.headers_told, self.headers_file)
        if not isinstance(text, str):
            return dict(text or {})
        return _named("GWS_HEADERS_FILE", lambda: _sendable(from_json(text)))


class ProxySettings(FromEnvironment):
    """The proxy's URL; it may hold credentials, so it may lie in a file."""

    proxy_told: OptionalSecret = env("GWS_PROXY", None)
    proxy_file: OptionalPath = env("GWS_PROXY_FILE", None)

    @model_validator(mode="after")
    def _has_one_proxy(self) -> Self:
        _ = self.proxy
        return self

    @cached_property
    def proxy(self) -> Proxy | None:
        """The way there, where it leads through a proxy."""
        text = _one_of("GWS_PROXY", self.proxy_told, self.proxy_file)
        if text is None:
            return None
        name = "GWS_PROXY" if self.proxy_file is None else "GWS_PROXY_FILE"
        return _named(name, lambda: Proxy.at(str(text).strip()))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy. `url` is without the credentials, which `headers` holds."""

    url: str
    headers: dict[str, str] = field(repr=False)

    @classmethod
    def at(cls, text: str) -> Proxy:
        """Raises ValueError that quotes nothing of the text."""
        parts = _split(text)
        if parts is None or parts.scheme != "http" or parts.path not in ("", "/") or parts.query:
            raise ValueError(
                "must be a URL such as http://proxy.example.com:3128; in a user name or a "
                "password, write @ : / # % as %40 %3A %2F %23 %25"
            )
        address = f"http://{parts.netloc.rpartition('@')[2]}"
        if parts.username is None:
            return cls(address, {})
        # both clients would write them in Latin-1 by themselves, and fail over other letters
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        basic = b64encode(pair.encode()).decode("ascii")
        return cls(address, {"Proxy-Authorization": f"Basic {basic}"})


class Trust(FromEnvironment):
    """Whom TLS trusts, and with which certificate we show ourselves; all files are PEM."""

    ca_bundle: OptionalPath = env("GWS_CA_BUNDLE", None)
    client_cert: OptionalPath = env("GWS_CLIENT_CERT", None)
    client_key: OptionalPath = env("GWS_CLIENT_KEY", None)
    client_key_password_file: OptionalPath = env("GWS_CLIENT_KEY_PASSWORD_FILE", None)

    @field_validator("ca_bundle", "client_cert", "client_key", "client_key_password_file")
    @classmethod
    def _is_a_file(cls, value: Path | None) -> Path | None:
        if value is not None:
            value = value.expanduser().absolute()
            _content(value)
        return value

    @field_validator("ca_bundle", "client_cert")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=value)
            except (ssl.SSLError, OSError):
                raise ValueError(f"holds no certificate in PEM: {value}") from None
        return value

    @model_validator(mode="after")
    def _key_fits(self) -> Self:
        if self.client_cert is not None:
            self._show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        elif self.client_key is not None or self.client_key_password_file is not None:
            raise ValueError("GWS_CLIENT_CERT is missing beside GWS_CLIENT_KEY")
        return self

    def tls(self) -> ssl.SSLContext | None:
        """What is configured, anew for each client; None where nothing is, so that each goes by
        its own default. Raises ConfigurationError where a file has changed for the worse."""
        if self.ca_bundle is None and self.client_cert is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_bundle)
            if self.client_cert is not None:
                self._show(context)
        except (OSError, ValueError) as exc:
            told = "GWS_CA_BUNDLE cannot be used" if isinstance(exc, OSError) else str(exc)
            raise ConfigurationError(told) from None
        if self.ca_bundle is not None:
            # Python 3.13 began to ask of private CAs what those of many sites have not
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def _show(self, context: ssl.SSLContext) -> None:
        """Has the context show our certificate. Raises ValueError that says what is wrong."""
        key = self.client_key or self.client_cert
        assert key is not None  # noqa: S101 - called with a certificate alone
        name = "GWS_CLIENT_CERT" if self.client_key is None else "GWS_CLIENT_KEY"
        was_asked = False

        def password() -> str:
            # without it, OpenSSL would ask on the terminal
            nonlocal was_asked
            was_asked = True
            file = self.client_key_password_file
            return _content(file).decode("utf-8").rstrip("\r\n") if file else ""

        try:
            context.load_cert_chain(self.client_cert or "", key, password)
        except OSError as exc:  # ssl.SSLError is one
            if "MISMATCH" in (getattr(exc, "reason", None) or ""):
                reason = f"{name} does not fit GWS_CLIENT_CERT: another certificate's key"
            elif was_asked and self.client_key_password_file is None:
                reason = f"{name} is encrypted; put its password into GWS_CLIENT_KEY_PASSWORD_FILE"
            elif was_asked:
                reason = f"GWS_CLIENT_KEY_PASSWORD_FILE does not open {name}"
            elif b"PRIVATE KEY-----" not in _content(key):
                reason = f"{name} holds no private key in PEM: {key}; set GWS_CLIENT_KEY to it"
            else:
                reason = f"GWS_CLIENT_CERT and {name} cannot be used ({_reason(exc)})"
            raise ValueError(reason) from None


class Webhook(FromEnvironment):
    """Where failures are told; the URL of a chat's webhook is its own credential."""

    webhook_told: OptionalSecret = env("HISTORY_WEBHOOK_URL", None)
    webhook_file: OptionalPath = env("HISTORY_WEBHOOK_URL_FILE", None)

    @model_validator(mode="after")
    def _has_one_webhook(self) -> Self:
        url = self.webhook
        parts = _split(url) if url else None
        if url and (parts is None or parts.scheme not in ("http", "https")):
            name = "HISTORY_WEBHOOK_URL" + ("_FILE" if self.webhook_file else "")
            raise ValueError(f"{name}: must be a URL such as https://hooks.example.com/…")
        return self

    @cached_property
    def webhook(self) -> str | None:
        """The URL to post to, itself a secret."""
        text = _one_of("HISTORY_WEBHOOK_URL", self.webhook_told, self.webhook_file)
        return text and str(text).strip()


def refuses_our_certificate(exc: BaseException) -> bool:
    """Whether the other side ended TLS over the certificate that we showed, or did not show."""
    reason = _reason(exc)
    return "ALERT" in reason and any(
        word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")
    )


def _reason(exc: BaseException) -> str:
    """OpenSSL's name of what is wrong."""
    return str(getattr(exc, "reason", None) or type(exc).__name__)


def _sendable(value: Any) -> dict[str, str]:
    is_object = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
    if not is_object:
        raise ValueError("must be a JSON object of texts")
    if not all(_TOKEN.fullmatch(name) and _PRINTABLE.fullmatch(value[name]) for name in value):
        raise ValueError("must hold names of headers, and values of printable ASCII")
    return dict(value)


def _split(url: str) -> SplitResult | None:
    """None where it is no URL with a host."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _named(name: str, make: Callable[[], T]) -> T:
    """Mistakes in what a file holds are named after its variable."""
    try:
        return make()
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from None


def _one_of(name: str, told: Any, file: Path | None) -> Any:
    """What the variable says, or what the file does that NAME_FILE names; None where neither is
    set. Raises ValueError where both are, or where the file has nothing to say."""
    if told is not None and file is not None:
        raise ValueError(f"{name} and {name}_FILE are both set; keep one")
    if file is None:
        return told.get_secret_value() if isinstance(told, SecretStr) else told
    try:
        text = file.expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        text = ""
    if not text.strip():
        raise ValueError(f"{name}_FILE cannot be read, or is empty: {file}")
    return text


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ValueError(f"cannot be read ({exc.strerror}): {path}") from None
    if not content.strip():
        raise ValueError(f"is empty: {path}")
    return content
