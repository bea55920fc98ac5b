"""The seam to the network: one small interface, and aiohttp behind it.

Translates aiohttp's exceptions, and lets none of them through. One cookie jar serves REST and
CometD, so that a balancer sends both to the same node.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import aiohttp
import yarl
from multidict import CIMultiDict

from history_pipeline.access import refuses_our_certificate
from history_pipeline.errors import (
    ConfigurationError,
    DeadlineExceeded,
    LoginRefused,
    PipelineError,
    ServerFault,
    Unreachable,
    causes,
)
from history_pipeline.gws.wire import Reply
from history_pipeline.settings import Settings

PROXY_LOGIN = (
    "the proxy refused the login (HTTP 407); check the credentials in GWS_PROXY or GWS_PROXY_FILE"
)
CERTIFICATE_REFUSED = (
    "the server refused TLS over our certificate, or for want of one; see GWS_CLIENT_CERT"
)


class Transport(Protocol):
    """Sends one HTTP request. Paths are below the base URL; `timeout` is in seconds.

    Raises Unreachable (nothing was sent), DeadlineExceeded (no whole reply in time), ServerFault
    (reset, or a reply that was cut) or LoginRefused (by a proxy, or over our certificate).
    """

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Reply: ...

    def cookie(self, name: str) -> str | None:
        """The value of a cookie that the server set."""
        ...


class AiohttpTransport:
    """The transport of production: keeps connections and cookies between `async with` bounds."""

    def __init__(self, settings: Settings) -> None:
        self._base = settings.url
        route = settings.proxy
        self._proxy = route.url if route else None
        self._to_proxy = route.headers if route else None
        self._headers = CIMultiDict(settings.headers)
        self._headers["Authorization"] = basic_header(settings)
        self._configured_cookies = self._headers.get("Cookie", "")
        self._ssl = settings.tls() or True
        if self._to_proxy and not self._base.startswith("https:"):
            # without a tunnel, the proxy reads the request itself
            self._headers.update(self._to_proxy)
        self._session: aiohttp.ClientSession | None = None
        self._cookies = _Cookies()

    async def __aenter__(self) -> Self:
        self._cookies = _Cookies()
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            # in flight is bounded by who asks; a bound here would starve the heartbeat
            connector=aiohttp.TCPConnector(limit=0, ssl=self._ssl),
            # no headers of the session's own: aiohttp hands those to a proxy too
            # `send` has a deadline of its own, around all of it
            timeout=aiohttp.ClientTimeout(total=None),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeout: float
    ) -> Reply:
        assert self._session is not None, "enter the transport first"  # noqa: S101
        url = yarl.URL(self._base + path, encoded=True)
        cookies = "; ".join(filter(None, (self._configured_cookies, self._cookies.header(url))))
        told = CIMultiDict(self._headers)
        told.update(headers)
        if cookies:
            told["Cookie"] = cookies
        try:
            async with (
                asyncio.timeout(timeout),
                self._session.request(
                    method,
                    url,
                    data=body,
                    headers=told,
                    proxy=self._proxy,
                    proxy_headers=self._to_proxy,
                    allow_redirects=False,
                ) as response,
            ):
                self._cookies.take(response)
                content = await response.read()
                if response.status == 407:
                    raise _refused_by_proxy(407)
                return Reply(response.status, response.headers, content)
        except TimeoutError as exc:
            raise DeadlineExceeded(f"no HTTP reply within {timeout:g} s") from exc
        except aiohttp.ClientHttpProxyError as exc:
            raise _refused_by_proxy(exc.status) from None  # it holds the proxy's credentials
        except aiohttp.ClientConnectorError as exc:
            if refuses_our_certificate(exc.os_error):
                raise _certificate_refused() from exc
            raise Unreachable(f"no connection to {_place(exc)}: {_cause(exc)}") from exc
        except (aiohttp.ClientError, OSError) as exc:
            if any(refuses_our_certificate(cause) for cause in causes(exc)):
                raise _certificate_refused() from exc
            raise ServerFault(f"the reply did not arrive whole ({type(exc).__name__})") from exc

    def cookie(self, name: str) -> str | None:
        return self._cookies.value(name)


class _Cookies:
    """aiohttp's jar, with the header that it comes to: the session would put that together anew for
    each request, which takes an eighth of what a request takes."""

    def __init__(self) -> None:
        # without `unsafe`, cookies of hosts that are IP addresses are dropped
        self._jar = aiohttp.CookieJar(unsafe=True)
        self._of_all_paths: str | None = ""

    def take(self, response: aiohttp.ClientResponse) -> None:
        if not response.cookies:
            return
        self._jar.update_cookies(response.cookies, response.url)
        is_for_all = all(
            each["path"] == "/" and not each["max-age"] and not each["expires"]
            for each in self._jar
        )
        self._of_all_paths = self._written(response.url) if is_for_all else None

    def header(self, url: yarl.URL) -> str:
        """Of the cookies for this URL; empty where there are none."""
        return self._written(url) if self._of_all_paths is None else self._of_all_paths

    def value(self, name: str) -> str | None:
        return next((each.value for each in self._jar if each.key == name), None)

    def _written(self, url: yarl.URL) -> str:
        found = self._jar.filter_cookies(url)
        return "; ".join(f"{name}={each.coded_value}" for name, each in found.items())


def basic_header(settings: Settings) -> str:
    """The credentials, encoded as configured. Raises ConfigurationError where that cannot be."""
    text = f"{settings.username}:{settings.secret}"
    try:
        credentials = text.encode(settings.basic_encoding)
    except UnicodeEncodeError:
        raise ConfigurationError(
            f"GWS_USERNAME or GWS_PASSWORD cannot be written in {settings.basic_encoding}; set "
            "GWS_BASIC_ENCODING=utf-8"
        ) from None  # the cause holds the whole text
    return "Basic " + b64encode(credentials).decode("ascii")


def _cause(exc: aiohttp.ClientConnectorError) -> str:
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "the host name is not known"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted (see GWS_CA_BUNDLE)"
    return exc.os_error.strerror or type(exc.os_error).__name__


def _place(exc: aiohttp.ClientConnectorError) -> str:
    is_proxy = isinstance(exc, aiohttp.ClientProxyConnectionError)
    return f"{'the proxy ' if is_proxy else ''}{exc.host}:{exc.port}"


def _refused_by_proxy(status: int) -> PipelineError:
    if status == 407:
        return LoginRefused(PROXY_LOGIN)
    return Unreachable(f"the proxy does not let us through (HTTP {status})")


def _certificate_refused() -> LoginRefused:
    return LoginRefused(CERTIFICATE_REFUSED)
