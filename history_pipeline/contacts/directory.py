"""`gws`: the site serves its customers at GWS_CONTACTS_PATH, with `offset` and `limit`.

Synchronous and paged, so it goes through `requests`, with urllib3's retries for what a repeated
GET can mend; pages and retries keep to the same rate as history requests.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.util.retry import Retry

from history_pipeline.access import refuses_our_certificate
from history_pipeline.errors import (
    LoginRefused,
    NotAServer,
    ServerSilent,
    ServerUnusable,
    causes,
)
from history_pipeline.gws.pacing import PagePace
from history_pipeline.gws.transport import CERTIFICATE_REFUSED, PROXY_LOGIN, basic_header
from history_pipeline.model import Contact
from history_pipeline.settings import Settings

PAGE_SIZE = 500
LONGEST_REST = 120
"""Seconds that a Retry-After may ask for; each wait has a deadline."""

TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and to wait for each piece of a reply."""


def open_session(settings: Settings, *, is_patient: bool = True) -> requests.Session:
    """A session with login, proxy, trust, retries and rate as configured. One that is not patient
    asks again where no connection was had, and takes every reply for the answer."""
    session = requests.Session()
    session.trust_env = False
    session.auth = _Basic(basic_header(settings))
    session.headers.update({"Accept": "application/json", **settings.headers})
    if settings.ca_bundle is not None:
        # else requests would add its own authorities to ours
        session.verify = str(settings.ca_bundle)
    if settings.proxy is not None:
        session.proxies = {"http": settings.proxy.url, "https": settings.proxy.url}
    pace = PagePace(settings.requests_per_second)
    retries = _PacedRetry(
        total=5,
        connect=3,
        read=None if is_patient else 0,
        status=None if is_patient else 0,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET",),
        respect_retry_after_header=True,
        retry_after_max=LONGEST_REST,
        raise_on_status=False,
    )
    retries.pace = pace
    session.mount("https://", _PacedAdapter(pace, retries, settings))
    session.mount("http://", _PacedAdapter(pace, retries, settings))
    return session


class _PacedRetry(Retry):
    """urllib3's rest before a retry, the first of which is none, and then the pace."""

    pace: PagePace

    def new(self, **changes: Any) -> Self:
        fresh = super().new(**changes)
        fresh.pace = self.pace
        return fresh

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        super().sleep(response)
        self.pace.admit()

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        *foreign: Any,
        **named: Any,
    ) -> Self:
        """What will not mend itself is not tried again; accounts may lock."""
        if error is not None and _lasting(error) is not None and self.total != 0:
            return self.new(total=0).increment(method, url, response, error, *foreign, **named)
        return super().increment(method, url, response, error, *foreign, **named)


class _PacedAdapter(HTTPAdapter):
    """Shows our certificate, trusts whom we trust, and knows the proxy's credentials."""

    def __init__(self, pace: PagePace, retries: Retry, settings: Settings) -> None:
        self._pace = pace
        self._tls = settings.tls()
        self._proxy = settings.proxy
        super().__init__(max_retries=retries)

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named, ssl_context=self._tls)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        return super().proxy_manager_for(proxy, **named, ssl_context=self._tls)

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        return self._proxy.headers if self._proxy else {}

    def send(self, *arguments: Any, **named: Any) -> requests.Response:
        self._pace.admit()
        return super().send(*arguments, **named)


class DirectoryContacts:
    """Contacts of `GET GWS_CONTACTS_PATH`. It goes on by the rows received, not by `limit`:
    servers cap pages."""

    can_change = True

    def __init__(self, settings: Settings, session: requests.Session) -> None:
        self._url = settings.url + settings.contacts_path
        self._path = settings.contacts_path
        self._session = session

    def pages(self) -> Iterator[list[Contact]]:
        offset = 0
        seen: set[int] = set()
        while rows := self._rows(offset):
            page = [_contact(row, self._path) for row in rows]
            ids = [contact.contact_id for contact in page]
            digest = hash(tuple(ids))
            if digest in seen:
                raise NotAServer(
                    f"{self._path} repeats a page at offset {offset}: it does not page by "
                    "`offset`; use HISTORY_CONTACTS=file:PATH or activity"
                )
            yield page
            seen.add(digest)
            offset += len(rows)

    def _rows(self, offset: int) -> list[Any]:
        reply = get_json(
            self._session, self._url, self._path, {"offset": offset, "limit": PAGE_SIZE}
        )
        rows = reply.get("contacts")
        if not isinstance(rows, list):
            raise NotAServer(
                f"{self._path} answers without a list `contacts`; check GWS_CONTACTS_PATH"
            )
        return rows


def get_json(
    session: requests.Session, url: str, path: str, params: Mapping[str, int | str] | None = None
) -> dict[str, Any]:
    """One GET with the envelope's `statusCode` checked. Raises ServerUnusable and its kinds."""
    try:
        response = session.get(url, params=params, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as exc:
        lasting = _lasting(exc)
        if lasting in (PROXY_LOGIN, CERTIFICATE_REFUSED):
            raise LoginRefused(lasting) from exc
        raise ServerSilent(
            f"{path} cannot be read ({lasting or _reason(exc)}); check GWS_URL, the network and "
            "GWS_PROXY"
        ) from exc
    if response.status_code == 407:
        raise LoginRefused(PROXY_LOGIN)
    if response.status_code in (401, 403) or 300 <= response.status_code < 400:
        raise LoginRefused(
            f"the server refused the login at {path} (HTTP {response.status_code}); check "
            "GWS_USERNAME, GWS_PASSWORD and the user's roles"
        )
    if response.status_code in (429, 503):
        raise ServerSilent(f"{path} keeps answering HTTP {response.status_code}")
    try:
        body = response.json()
    except requests.JSONDecodeError as exc:
        raise NotAServer(
            f"{path} answers HTTP {response.status_code} without JSON; check GWS_URL"
            + (" and GWS_CLIENT_CERT" if response.status_code in (400, 495, 496) else "")
        ) from exc
    code = body.get("statusCode") if isinstance(body, dict) else None
    if code == 20:
        raise LoginRefused(f"{path} asks for credentials (status code 20)")
    if response.status_code != 200 or code != 0:
        raise ServerUnusable(f"{path} answers HTTP {response.status_code}, status code {code}")
    return dict(body)


def _reason(exc: requests.RequestException) -> str:
    if isinstance(exc, requests.exceptions.SSLError):
        return "TLS does not come about"
    if isinstance(exc, requests.exceptions.ProxyError):
        status = _tunnel_status(exc)
        return f"the proxy does not let us through, HTTP {status}" if status else "no proxy answers"
    if isinstance(exc, requests.ConnectionError):
        return "no connection"
    return type(exc).__name__


def _lasting(exc: BaseException) -> str | None:
    """What is wrong where trying again is of no use."""
    for cause in _wrapped(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted; see GWS_CA_BUNDLE"
        if refuses_our_certificate(cause):
            return CERTIFICATE_REFUSED
    return PROXY_LOGIN if _tunnel_status(exc) == "407" else None


def _tunnel_status(exc: BaseException) -> str | None:
    """What a proxy answered that would not open a tunnel; http.client has it in words alone."""
    texts = (str(cause) for cause in _wrapped(exc) if isinstance(cause, OSError))
    found = (re.match(r"Tunnel connection failed: (\d+)", text) for text in texts)
    return next((match[1] for match in found if match), None)


def _wrapped(exc: BaseException) -> Iterator[BaseException]:
    """An error with all that it came from; urllib3 hands some of it on as arguments."""
    for cause in causes(exc):
        yield cause
        for given in (getattr(cause, "reason", None), *cause.args):
            if isinstance(given, BaseException) and given is not cause:
                yield from _wrapped(given)


def _contact(row: Any, path: str) -> Contact:
    contact_id = row.get("id") if isinstance(row, dict) else None
    if not isinstance(contact_id, str) or not contact_id.strip():
        raise NotAServer(f"{path} lists a contact without an id; check GWS_CONTACTS_PATH")
    return Contact(contact_id, {name: value for name, value in row.items() if name != "id"})


class _Basic(requests.auth.AuthBase):
    """As a class of requests', so that no .netrc replaces it; requests' own knows no UTF-8."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request
