"""The image's recipe and the page on deploying agree with the code. Neither builds an image."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from history_pipeline.defs import home
from history_pipeline.settings import Settings

ROOT = Path(__file__).parent.parent
RECIPE = (ROOT / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ").strip() for line in RECIPE if line.startswith(f"{name} ")]


def blocks(kind: str) -> list[Any]:
    return [yaml.safe_load(each) for each in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)]


def test_all_that_is_copied_is_there_and_let_through() -> None:
    let_through = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [line.split()[:-1] for line in instructions("COPY") if "--from" not in line]
    sources = {source for line in copied for source in line}
    assert sources == let_through
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_what_the_package_is_built_from_is_copied() -> None:
    copied = " ".join(instructions("COPY"))
    for needed in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "dbt"):
        assert needed in copied


def test_the_base_is_named_without_a_registry_and_nobody_is_root() -> None:
    assert instructions("FROM") == ["python:${PYTHON}-slim AS build", "python:${PYTHON}-slim"]
    (user,) = instructions("USER")
    assert user.isdigit()
    assert int(user) > 0


def test_data_lie_on_the_volume_and_telemetry_is_off() -> None:
    (environment,) = instructions("ENV")
    (volume,) = instructions("VOLUME")
    assert f"HISTORY_DATA_DIR={volume}" in environment.split()
    assert "DAGSTER_DISABLE_TELEMETRY=1" in environment.split()
    assert instructions("ENTRYPOINT") == ['["history-pipeline"]']


def test_the_page_and_the_pipelines_own_home_configure_dagster_alike() -> None:
    own = yaml.safe_load(home._DAGSTER_YAML)
    (written,) = [block for block in blocks("yaml") if "run_coordinator" in block]
    assert written["telemetry"] == own["telemetry"] == {"enabled": False}
    for name in ("run_monitoring", "retention"):
        assert written[name] == own[name]
    theirs, ours = (each["run_coordinator"]["config"] for each in (written, own))
    assert theirs.items() <= ours.items()


def test_the_code_location_has_the_name_that_backfills_runs_carry() -> None:
    (workspace,) = [block for block in blocks("yaml") if "load_from" in block]
    assert workspace["load_from"][0]["grpc_server"]["location_name"] == home.DEFINITIONS
    assert f"-m {home.DEFINITIONS}" in PAGE


def test_each_service_has_what_the_page_says_it_needs() -> None:
    (services,) = [block["services"] for block in blocks("yaml") if "services" in block]
    data = "history:/var/lib/history_pipeline"
    assert [name for name, each in services.items() if data in each["volumes"]] == ["history"]
    assert [name for name, each in services.items() if "secrets" in each] == ["history"]
    for each in services.values():
        assert each["environment"]["DAGSTER_HOME"] == "/var/lib/dagster"
        assert f"dagster:{each['environment']['DAGSTER_HOME']}" in each["volumes"]


@pytest.mark.parametrize("page", ["README.md", "docs/deploying.md", "docs/operating.md"])
def test_every_variable_that_a_page_names_is_one_that_is_read(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    fields = Settings.model_fields.values()
    known = {field.validation_alias.choices[0] for field in fields}  # type: ignore[union-attr]
    apart = {"HISTORY_LOCK_SECONDS", "HISTORY_DBT_MEMORY_LIMIT", "HISTORY_DEMO_PORT"}
    named = set(re.findall(r"\b(?:GWS|HISTORY)_[A-Z_]*[A-Z]\b", text))
    assert named <= known | apart
