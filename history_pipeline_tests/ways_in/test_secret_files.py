"""Secrets that lie in files: of a password, of headers, of a proxy, of a webhook."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from history_pipeline.access import Proxy
from history_pipeline.errors import ConfigurationError
from history_pipeline.settings import Settings, load
from history_pipeline_tests.end_to_end.running import environment

SECRET = "k3y-0f-a11"
RIGHT = {
    "GWS_PASSWORD": SECRET,
    "GWS_HEADERS": f'{{"X-Api-Key": "{SECRET}"}}',
    "GWS_PROXY": f"http://reader:{SECRET}@proxy.example.com:3128",
    "HISTORY_WEBHOOK_URL": f"https://hooks.example.com/{SECRET}",
}
WRONG = {
    "GWS_HEADERS": [
        f'{{"X-Api-Key": "{SECRET}"', f'["{SECRET}"]', f'{{"X-Api-Key": ["{SECRET}"]}}',
        f'{{"X Key": "{SECRET}"}}', f'{{"X-Api-Key": "{SECRET}\\r\\nX-Other: 1"}}',
        f'{{"X-Api-Key": "{SECRET}€"}}', f'{{"": "{SECRET}"}}', "7", f'"{SECRET}"',
    ],
    "GWS_PROXY": [
        SECRET, f"proxy:{SECRET}", f"socks5://reader:{SECRET}@proxy:1080", f"http://:{SECRET}@",
        f"https://reader:{SECRET}@proxy:3128", f"http://reader:{SECRET}@proxy:port",
        f"http://reader:a#{SECRET}@proxy:3128", f"http://reader:a/{SECRET}@proxy:3128",
        f"http://[reader:{SECRET}@proxy", f"http://proxy:3128/{SECRET}", f"http://proxy?{SECRET}",
    ],
    "HISTORY_WEBHOOK_URL": [SECRET, f"hooks.example.com/{SECRET}", f"file:///{SECRET}"],
}  # fmt: skip
MISTAKES = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.chdir(tmp_path)
    return environment("https://gws.example.com", tmp_path)


def loaded(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return load()


def mistakes(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        loaded(told, monkeypatch)
    everything = repr(caught.value) + "".join(traceback.format_exception(caught.value))
    assert SECRET not in everything
    return [line.removeprefix("  - ") for line in str(caught.value).splitlines()[1:]]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_what_lies_in_a_file_is_as_good_as_what_is_told(
    told: dict[str, str], ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plainly = loaded({**told, **RIGHT}, monkeypatch)
    for name, value in RIGHT.items():
        monkeypatch.delenv(name)
        (tmp_path / name).write_text(value + ending, encoding="utf-8")
        told[f"{name}_FILE"] = name  # a relative path
    del told["GWS_PASSWORD"]
    found = loaded(told, monkeypatch)
    assert found.secret == plainly.secret == SECRET
    assert found.headers == plainly.headers == {"X-Api-Key": SECRET}
    assert found.proxy == plainly.proxy
    assert found.webhook == plainly.webhook == RIGHT["HISTORY_WEBHOOK_URL"]
    assert SECRET not in repr(found) + str(found) + repr(plainly) + repr(found.proxy)


@pytest.mark.parametrize("name", RIGHT)
def test_a_variable_and_its_file_exclude_each_other(
    name: str, told: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(RIGHT[name])
    both = {**told, name: RIGHT[name], f"{name}_FILE": "secret"}
    assert mistakes(both, monkeypatch) == [f"{name} and {name}_FILE are both set; keep one"]


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_that_cannot_be_read_or_has_nothing_in_it_is_named(
    name: str,
    content: bytes | None,
    told: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    del told["GWS_PASSWORD"]
    named = {"GWS_PASSWORD_FILE": "password", f"{name}_FILE": "secret"}
    (tmp_path / "password").write_text("x")
    assert mistakes({**told, **named}, monkeypatch) == [
        f"{name}_FILE cannot be read, or is empty: secret"
    ]


@pytest.mark.parametrize("in_a_file", [False, True])
@pytest.mark.parametrize(("name", "value"), MISTAKES)
def test_a_mistake_is_named_with_its_variable_and_never_quoted(
    name: str,
    value: str,
    in_a_file: bool,
    told: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if in_a_file:
        (tmp_path / "secret").write_text(value, encoding="utf-8")
    wrong = {f"{name}_FILE": "secret"} if in_a_file else {name: value}
    (line,) = mistakes({**told, **wrong}, monkeypatch)
    assert line.startswith(next(iter(wrong)))


@pytest.mark.parametrize(
    ("text", "url"),
    [("http://proxy:3128", "http://proxy:3128"), ("http://proxy/", "http://proxy"),
     ("http://a:b@proxy:3128/", "http://proxy:3128"), ("http://[::1]:3128", "http://[::1]:3128")],
)  # fmt: skip
def test_a_proxys_credentials_are_no_part_of_its_url(text: str, url: str) -> None:
    found = Proxy.at(text)
    assert found.url == url
    assert bool(found.headers) is ("@" in text)


@pytest.mark.parametrize("name", ["GWS_PROXY", "GWS_HEADERS", "HISTORY_WEBHOOK_URL"])
def test_blank_is_not_set(name: str, told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = loaded({**told, name: " ", f"{name}_FILE": ""}, monkeypatch)
    assert (found.proxy, found.headers, found.webhook) == (None, {}, None)
