"""The demo, and every query, answer and example of docs/analysts.md over what it publishes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from history_pipeline_tests.end_to_end.documented import (
    DOCUMENT,
    answer,
    queries,
    snippets,
)
from history_pipeline_tests.end_to_end.test_commands import command

pytestmark = pytest.mark.slow

TEXT = DOCUMENT.read_text()
MARTS = Path(__file__).parents[2] / "dbt" / "models" / "marts"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `make demo` ran in."""
    root = tmp_path_factory.mktemp("demo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = command({"HISTORY_DEMO_PORT": str(port)}, "demo", cwd=root, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def test_the_document_asks_every_mart() -> None:
    asked = " ".join(query for query, _ in queries(TEXT))
    marts = {path.stem for path in MARTS.glob("*.sql")}
    assert {mart for mart in marts if f"marts.{mart}" in asked} == marts
    assert len(list(queries(TEXT))) == TEXT.count("```sql"), "each query has its answer"


def test_every_answer_is_what_the_demo_gives(demo: Path) -> None:
    published = demo / "data" / "history.duckdb"
    for query, told in queries(TEXT):
        assert answer(published, query) == told, query


@pytest.mark.parametrize("snippet", snippets(TEXT))
def test_the_examples_in_python_run(
    demo: Path, snippet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo)
    names: dict[str, object] = {}
    exec(snippet, names)  # the project's own document
    frame = names.get("volume", names.get("backlog"))
    assert len(frame) > 20  # type: ignore[arg-type]
    assert [path.name for path in demo.iterdir()] == ["data"]
