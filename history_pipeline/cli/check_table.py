"""The table of `check`: a row for each question, with its verdict and what to set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from history_pipeline.probing.finding import Finding, Standing

_STYLES = {Standing.SETTLED: "green", Standing.NOTABLE: "bold yellow", Standing.OPEN: "cyan"}


def show(console: Console, findings: Sequence[Finding]) -> None:
    table = Table(title="How this server behaves", title_justify="left", show_lines=True)
    table.add_column("question", ratio=3)
    table.add_column("", ratio=2)
    table.add_column("verdict", ratio=7)
    table.add_column("setting to use", ratio=5, overflow="fold")
    for finding in findings:
        settings = "\n".join(f"{name}={value}" for name, value in finding.settings)
        table.add_row(
            Text(finding.question.value),
            Text(finding.standing.value, style=_STYLES[finding.standing]),
            Text(finding.verdict),
            Text(settings),
        )
    console.print(table)
