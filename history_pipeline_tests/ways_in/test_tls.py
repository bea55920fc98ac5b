"""TLS with a private authority, and with our own certificate, against a server that demands it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from history_pipeline.errors import (
    ConfigurationError,
    LoginRefused,
    ServerSilent,
    Unreachable,
)
from history_pipeline.model import Window
from history_pipeline.settings import Settings
from history_pipeline_tests.end_to_end.running import open_layout, run_days
from history_pipeline_tests.end_to_end.test_world import ASKED, compare
from history_pipeline_tests.ways_in.asking import CLIENTS, SPAN, settings, shown
from history_pipeline_tests.ways_in.certificates import KEY_PASSWORD, Authority, encrypted
from history_pipeline_tests.ways_in.relays import tls_front

Client = Callable[[Settings], None]
clients = pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)


@pytest.fixture(scope="session")
def served(private: Authority) -> ssl.SSLContext:
    """What a server shows that the private authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*private.issue("gws", host="127.0.0.1"))
    return context


@pytest.fixture(scope="session", params=["TLS 1.2", "TLS 1.3"])
def demanding(private: Authority, request: pytest.FixtureRequest) -> ssl.SSLContext:
    """The same, of a server that wants to see a certificate of that authority. In TLS 1.3 it says
    so when the client already takes the handshake for done."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*private.issue("gws", host="127.0.0.1"))
    context.load_verify_locations(private.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    if request.param == "TLS 1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@pytest.fixture(scope="session")
def ours(private: Authority) -> tuple[Path, Path]:
    return private.issue("history reader")


@clients
def test_a_private_authority_is_trusted_where_its_bundle_is_named(
    ask: Client, server: str, served: ssl.SSLContext, private: Authority, tmp_path: Path
) -> None:
    with tls_front(server, served) as front:
        ask(settings(front.url, tmp_path, GWS_CA_BUNDLE=private.pem))


@clients
@pytest.mark.parametrize("trusted", ["nobody else", "a stranger"])
def test_no_other_authority_is_trusted_and_nothing_is_sent_to_it(
    ask: Client,
    trusted: str,
    server: str,
    served: ssl.SSLContext,
    stranger: Authority,
    tmp_path: Path,
) -> None:
    bundle = {"GWS_CA_BUNDLE": stranger.pem} if trusted == "a stranger" else {}
    with (
        tls_front(server, served) as front,
        pytest.raises((Unreachable, ServerSilent), match="not trusted.*GWS_CA_BUNDLE"),
    ):
        ask(settings(front.url, tmp_path, **bundle))
    assert front.shown == [], "no handshake came to its end"


@clients
@pytest.mark.parametrize("kind", ["a key beside it", "an encrypted key", "one file"])
def test_our_certificate_is_shown_to_a_server_that_demands_it(
    ask: Client,
    kind: str,
    server: str,
    demanding: ssl.SSLContext,
    private: Authority,
    ours: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    cert, key = ours
    told: dict[str, object] = {"GWS_CLIENT_CERT": cert, "GWS_CLIENT_KEY": key}
    if kind == "an encrypted key":
        password = tmp_path / "password"
        password.write_text(f"{KEY_PASSWORD}\n", encoding="utf-8")
        told |= {"GWS_CLIENT_KEY": encrypted(key), "GWS_CLIENT_KEY_PASSWORD_FILE": password}
    elif kind == "one file":
        together = tmp_path / "both.pem"
        together.write_bytes(key.read_bytes() + cert.read_bytes())
        told = {"GWS_CLIENT_CERT": together}
    with tls_front(server, demanding) as front:
        ask(settings(front.url, tmp_path, GWS_CA_BUNDLE=private.pem, **told))
    assert front.shown == ["history reader"]


@clients
@pytest.mark.parametrize("kind", ["none", "a stranger's"])
def test_a_server_that_refuses_our_certificate_ends_it_with_a_word_about_that(
    ask: Client,
    kind: str,
    server: str,
    demanding: ssl.SSLContext,
    private: Authority,
    stranger: Authority,
    tmp_path: Path,
) -> None:
    told: dict[str, object] = {"GWS_CA_BUNDLE": private.pem}
    if kind == "a stranger's":
        cert, key = stranger.issue("an impostor")
        told |= {"GWS_CLIENT_CERT": cert, "GWS_CLIENT_KEY": key}
    with (
        tls_front(server, demanding) as front,
        pytest.raises(LoginRefused, match="GWS_CLIENT_CERT") as caught,
    ):
        ask(settings(front.url, tmp_path, **told))
    assert "PRIVATE" not in shown(caught.value)


def test_a_whole_run_over_tls_with_our_certificate_gets_every_row(
    server: str,
    demanding: ssl.SSLContext,
    private: Authority,
    ours: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    cert, key = ours
    with tls_front(server, demanding) as front:
        found = settings(
            front.url,
            tmp_path,
            GWS_CA_BUNDLE=private.pem,
            GWS_CLIENT_CERT=cert,
            GWS_CLIENT_KEY=key,
            HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ASKED),
        )
        run_days(found, Window(SPAN.start, SPAN.end))
    compare(open_layout(found), SPAN, SPAN.start, SPAN.end)
    assert set(front.shown) == {"history reader"}


def test_files_that_were_changed_for_the_worse_are_a_mistake_of_configuration(
    private: Authority, ours: tuple[Path, Path], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_bytes(ours[1].read_bytes())
    found = settings("https://gws", tmp_path, GWS_CLIENT_CERT=ours[0], GWS_CLIENT_KEY=key)
    key.write_text("nothing of use")
    with pytest.raises(ConfigurationError, match="GWS_CLIENT_KEY holds no private key"):
        found.tls()


def test_without_files_each_client_goes_by_its_own_default(tmp_path: Path) -> None:
    assert settings("https://gws", tmp_path).tls() is None


# -- mistakes, each named at start ----------------------------------------------------------------


@pytest.fixture
def files(private: Authority, stranger: Authority, ours: tuple[Path, Path]) -> dict[str, Path]:
    cert, key = ours
    made = {"cert": cert, "key": key, "locked": encrypted(key), "directory": cert.parent}
    made["other key"] = stranger.issue("somebody else")[1]
    made["no pem"] = cert.with_name("no.pem")
    made["no pem"].write_bytes(b"\x30\x82\x01\x0a nothing that is PEM")
    made["empty"] = cert.with_name("empty")
    made["empty"].write_bytes(b"")
    made["wrong password"] = cert.with_name("wrong")
    made["wrong password"].write_text("not-the-password")
    made["absent"] = cert.with_name("absent")
    return made


BUNDLE, CERT, KEY, PASSWORD = (
    "GWS_CA_BUNDLE",
    "GWS_CLIENT_CERT",
    "GWS_CLIENT_KEY",
    "GWS_CLIENT_KEY_PASSWORD_FILE",
)
MISTAKES: list[tuple[dict[str, str], str]] = [
    ({BUNDLE: "absent"}, "GWS_CA_BUNDLE: cannot be read (No such file or directory)"),
    ({BUNDLE: "directory"}, "GWS_CA_BUNDLE: cannot be read (Is a directory)"),
    ({BUNDLE: "empty"}, "GWS_CA_BUNDLE: is empty"),
    ({BUNDLE: "no pem"}, "GWS_CA_BUNDLE: holds no certificate in PEM"),
    ({BUNDLE: "key"}, "GWS_CA_BUNDLE: holds no certificate in PEM"),
    ({CERT: "absent", KEY: "key"}, "GWS_CLIENT_CERT: cannot be read"),
    ({CERT: "no pem", KEY: "key"}, "GWS_CLIENT_CERT: holds no certificate in PEM"),
    ({CERT: "cert", KEY: "absent"}, "GWS_CLIENT_KEY: cannot be read"),
    ({CERT: "cert", KEY: "no pem"}, "GWS_CLIENT_KEY holds no private key in PEM"),
    ({CERT: "cert"}, "GWS_CLIENT_CERT holds no private key in PEM"),
    ({CERT: "cert", KEY: "other key"}, "GWS_CLIENT_KEY does not fit GWS_CLIENT_CERT"),
    ({KEY: "key"}, "GWS_CLIENT_CERT is missing beside GWS_CLIENT_KEY"),
    ({CERT: "cert", KEY: "locked"}, "GWS_CLIENT_KEY is encrypted; put its password into"),
    (
        {CERT: "cert", KEY: "locked", PASSWORD: "wrong password"},
        "GWS_CLIENT_KEY_PASSWORD_FILE does not open GWS_CLIENT_KEY",
    ),
    ({CERT: "cert", KEY: "locked", PASSWORD: "empty"}, f"{PASSWORD}: is empty"),
    ({CERT: "cert", KEY: "locked", PASSWORD: "absent"}, f"{PASSWORD}: cannot be read"),
]


@pytest.mark.parametrize(("wrong", "words"), MISTAKES)
def test_a_mistake_in_a_file_is_named_with_its_variable(
    wrong: dict[str, str],
    words: str,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = {name: str(files[each]) for name, each in wrong.items()}
    lines = _mistakes(told, tmp_path, monkeypatch)
    assert len(lines) == 1
    assert lines[0].startswith(words)
    assert "not-the-password" not in lines[0]


def test_mistakes_in_several_files_are_named_beside_all_others(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {
        BUNDLE: str(files["no pem"]),
        CERT: str(files["absent"]),
        KEY: str(files["empty"]),
        "GWS_PROXY": "proxy:3128",
        "GWS_HEADERS_FILE": str(files["absent"]),
        "HISTORY_SOURCES": "attic",
    }
    lines = "\n".join(_mistakes(told, tmp_path, monkeypatch))
    assert [name for name in told if name not in lines] == []


def _mistakes(told: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from history_pipeline.settings import load
    from history_pipeline_tests.end_to_end.running import environment

    monkeypatch.chdir(tmp_path)
    for name, value in environment("https://gws.example.com", tmp_path, **told).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        load()
    first, *lines = str(caught.value).splitlines()
    assert first == "the configuration is not usable:"
    return [line.removeprefix("  - ") for line in lines]
