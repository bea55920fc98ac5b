"""Through a forward proxy, with and without credentials, which nobody ever sees."""

from __future__ import annotations

import json
import logging
import ssl
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from history_pipeline.errors import Interrupted, LoginRefused, ServerUnusable
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline_tests.end_to_end.running import open_layout, run_days
from history_pipeline_tests.end_to_end.test_world import ASKED, compare
from history_pipeline_tests.ways_in.asking import CLIENTS, SPAN, settings, shown
from history_pipeline_tests.ways_in.certificates import Authority
from history_pipeline_tests.ways_in.relays import forward_proxy, tls_front

Client = Callable[[Settings], None]
clients = pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)
USER, PASSWORD = "gäteway", "pröxy:s3cr3t@密"
BASIC = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), BASIC.removeprefix("Basic "))


def with_credentials(url: str, password: str = PASSWORD) -> str:
    pair = f"{quote(USER, safe='')}:{quote(password, safe='')}"
    return url.replace("http://", f"http://{pair}@")


@pytest.fixture(params=["http", "https"])
def told(
    request: pytest.FixtureRequest, server: str, private: Authority, tmp_path: Path
) -> dict[str, str]:
    """A server over either scheme: what the settings have to say of it."""
    if request.param == "http":
        return {"url": server}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*private.issue("gws", host="127.0.0.1"))
    front = tls_front(server, context)
    request.addfinalizer(lambda: front.__exit__(None, None, None))
    return {"url": front.__enter__().url, "GWS_CA_BUNDLE": str(private.pem)}


def assert_nothing_spilt(text: str) -> None:
    assert [secret for secret in SECRETS if secret in text] == []


@clients
def test_every_request_goes_through_the_proxy(
    ask: Client, told: dict[str, str], tmp_path: Path
) -> None:
    with forward_proxy() as proxy:
        ask(settings(data_dir=tmp_path, GWS_PROXY=proxy.url, **told))
    way = "GET http:" if told["url"].startswith("http:") else "CONNECT "
    assert [line.startswith(way) for line in proxy.asked] == [True]


@clients
def test_credentials_reach_the_proxy_in_utf_8_and_nobody_else(
    ask: Client, told: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with forward_proxy(BASIC) as proxy:
        found = settings(data_dir=tmp_path, GWS_PROXY=with_credentials(proxy.url), **told)
        ask(found)
    assert proxy.told == [BASIC]
    assert_nothing_spilt(caplog.text + repr(found) + str(found))


@clients
def test_a_proxy_that_opens_a_tunnel_is_told_nothing_that_is_meant_for_the_server(
    ask: Client, told: dict[str, str], tmp_path: Path
) -> None:
    with forward_proxy(BASIC) as proxy:
        route = with_credentials(proxy.url)
        ask(settings(data_dir=tmp_path, GWS_PROXY=route, GWS_HEADERS='{"X-Api-Key": "k"}', **told))
    known = {"Host", "Proxy-Authorization", "Accept", "Accept-Encoding", "User-Agent"}
    assert proxy.seen <= known


@clients
def test_a_proxy_that_refuses_the_credentials_is_asked_once_and_named(
    ask: Client, told: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with forward_proxy("Basic other") as proxy, pytest.raises(LoginRefused) as caught:
        ask(settings(data_dir=tmp_path, GWS_PROXY=with_credentials(proxy.url), **told))
    assert "GWS_PROXY" in str(caught.value)
    assert proxy.told == [BASIC], "accounts lock"
    assert_nothing_spilt(caplog.text + shown(caught.value))


@clients
def test_a_proxy_that_is_not_there_is_named_without_its_credentials(
    ask: Client, told: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises((Interrupted, ServerUnusable), match="proxy") as caught:
        ask(settings(data_dir=tmp_path, GWS_PROXY=with_credentials("http://127.0.0.1:9"), **told))
    assert_nothing_spilt(caplog.text + shown(caught.value))


@pytest.mark.slow
@clients
def test_a_proxy_that_cannot_reach_the_server_is_named(
    ask: Client, private: Authority, tmp_path: Path
) -> None:
    with (
        forward_proxy("Basic other", refusal=504) as proxy,
        pytest.raises((Interrupted, ServerUnusable), match="proxy does not let us through.*504"),
    ):
        told = {"GWS_PROXY": proxy.url, "GWS_CA_BUNDLE": str(private.pem)}
        ask(settings("https://127.0.0.1:9", tmp_path, **told))


def test_a_whole_run_through_a_proxy_gets_every_row(told: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "proxy"
    with forward_proxy(BASIC) as proxy:
        secret.write_text(with_credentials(proxy.url) + "\n", encoding="utf-8")
        found = settings(
            data_dir=tmp_path / "data",
            GWS_PROXY_FILE=secret,
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
            **told,
        )
        run_days(found, Window(SPAN.start, SPAN.end))
    compare(open_layout(found), SPAN, SPAN.start, SPAN.end)
    assert proxy.asked
    assert set(proxy.told) == {BASIC}
