"""docs/analysts.md: its queries, and the answers that stand below them.

`python -m history_pipeline_tests.end_to_end.documented PUBLISHED` writes the answers anew, from a
published file of the demo.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

DOCUMENT = Path(__file__).parents[2] / "docs" / "analysts.md"

_QUERY = re.compile(r"```sql\n(?P<query>.*?)```\n\n(?P<answer>\|.*?\n)(?=\n)", re.DOTALL)
_PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def queries(text: str) -> Iterator[tuple[str, str]]:
    """Each query with the table below it."""
    for found in _QUERY.finditer(text):
        yield found["query"], found["answer"]


def snippets(text: str) -> list[str]:
    """The examples in Python."""
    return _PYTHON.findall(text)


def answer(published: Path, query: str) -> str:
    """A query's answer as a table of Markdown."""
    with duckdb.connect(str(published), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        result = connection.execute(query)
        names = [column[0] for column in result.description or []]
        rows = [
            ["" if value is None else " ".join(str(value).split()) for value in row]
            for row in result.fetchall()
        ]
    lines = [names, ["---"] * len(names), *rows]
    return "".join(
        "|" + "|".join(cell if cell == "---" else f" {cell} " for cell in line) + "|\n"
        for line in lines
    )


def rewritten(text: str, published: Path) -> str:
    return _QUERY.sub(
        lambda found: f"```sql\n{found['query']}```\n\n{answer(published, found['query'])}", text
    )


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(), Path(sys.argv[1])))
