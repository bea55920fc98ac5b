"""The file reads as the settings that were in force, and holds no secret."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from history_pipeline.errors import ConfigurationError
from history_pipeline.probing import env_file
from history_pipeline.settings import Settings
from history_pipeline_tests.probing.scene import settings

ODD_NAMES = ["Order, No", "it's", 'say "x"', "${HOME}", "päß 密", "back\\slash", "#hash", "a\nb"]
SECRETS = ("s3cr3t-Pa55", "t0k3n-0f-proxy", "k3y-0f-header")


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("GWS_", "HISTORY_")):
            monkeypatch.delenv(name)


def read(path: Path, **more: str) -> Settings:
    return Settings(_env_file=path, **more)  # type: ignore[call-arg]


def test_what_was_in_force_is_read_again_with_what_was_found(tmp_path: Path) -> None:
    before = settings(
        HISTORY_CUSTOM_ATTRIBUTES=json.dumps(ODD_NAMES),
        HISTORY_SEARCH_ATTRIBUTES=json.dumps({"it's": "$5 ${x}"}),
        HISTORY_SOURCES="main",
        HISTORY_MEDIA_TYPE="chat",
        GWS_USERNAME="Jürgen O'Neil # 1",
    )
    path = tmp_path / "found.env"
    env_file.write(path, env_file.text_of(before, {"GWS_TIMEZONE": "Asia/Tokyo"}))
    after = read(path, GWS_PASSWORD="x")
    changed = {"timezone", "password"}
    assert after.timezone == "Asia/Tokyo"
    assert after.model_dump(exclude=changed) == before.model_dump(exclude=changed)


def test_the_password_file_is_named_and_no_secret_is_written(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRETS[0])
    told = {
        "GWS_PROXY": f"http://user:{SECRETS[1]}@proxy",
        "GWS_HEADERS": json.dumps({"X-Api-Key": SECRETS[2]}),
    }
    given = {"GWS_URL": "https://gws.example.com", "GWS_USERNAME": "reader",
             "GWS_TIMEZONE": "UTC", "HISTORY_CONTACTS": "gws"}  # fmt: skip
    before = Settings(_env_file=None, GWS_PASSWORD_FILE=str(secret), **given, **told)  # type: ignore[call-arg]
    text = env_file.text_of(before, {})
    assert not [each for each in SECRETS if each in text]
    assert f"GWS_PASSWORD_FILE={secret}" in text
    for name in told:
        assert f"# {name} is set, and is not written" in text
    path = tmp_path / "found.env"
    env_file.write(path, text)
    assert read(path).secret == SECRETS[0]


def test_a_password_of_the_environment_is_not_written() -> None:
    text = env_file.text_of(settings(GWS_PASSWORD=SECRETS[0]), {})
    assert SECRETS[0] not in text
    assert "# GWS_PASSWORD is not written" in text


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "found.env"
    before = os.umask(0)
    try:
        env_file.write(path, "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "there.env"
    there.write_text("somebody's")
    dangling = tmp_path / "dangling.env"
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (there, dangling, tmp_path):
        with pytest.raises(ConfigurationError, match="there already"):
            env_file.refuse(path)
        with pytest.raises(ConfigurationError, match="there already"):
            env_file.write(path, "x")
    assert there.read_text() == "somebody's"
    assert not (tmp_path / "nowhere").exists()


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no directory"):
        env_file.refuse(tmp_path / "missing" / "found.env")
