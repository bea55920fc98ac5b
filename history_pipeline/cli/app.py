"""The commands and their arguments. What they do lies in the modules beside this one, which are
imported late: Dagster and dbt cost seconds."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from history_pipeline import logs
from history_pipeline.cli.exits import Exit, guarded
from history_pipeline.defs.environment import told

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The interaction history of a Genesys Web Services contact centre, proven and loaded.",
)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-01-31") from None


FromDay = Annotated[date, typer.Option("--from", parser=_day, metavar="DAY", help="First day.")]
ToDay = Annotated[
    date,
    typer.Option("--to", parser=_day, metavar="DAY", help="Last day, included; yesterday at most."),
]


@app.command()
def demo() -> None:
    """Run the whole pipeline against the embedded server, and show what analysts get."""
    from history_pipeline.cli.demo import run_demo

    raise typer.Exit(run_demo())


@app.command()
def check(
    contact: Annotated[
        str | None,
        typer.Option("--contact", metavar="ID", help="A contact with history, to ask about."),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", help="Save the settings to use, as a new .env."),
    ] = None,
) -> None:
    """Try the server step by step, settle how it behaves, and say what to mend. Changes nothing
    there."""
    from history_pipeline.cli.check import run_check

    raise typer.Exit(run_check(contact, write))


@app.command()
def plan(from_day: FromDay, to_day: ToDay) -> None:
    """What a backfill of these days would ask, and what it would take. Asks for no history."""
    from history_pipeline.cli.plan import run_plan

    raise typer.Exit(run_plan(from_day, to_day))


@app.command()
def backfill(
    from_day: FromDay,
    to_day: ToDay,
    only_failed: Annotated[
        bool, typer.Option("--only-failed", help="Ask just what is not answered yet.")
    ] = False,
) -> None:
    """Ask for these days, load them, build the models and publish."""
    from history_pipeline.cli.backfill import run_backfill

    raise typer.Exit(run_backfill(from_day, to_day, only_failed=only_failed))


@app.command()
def status() -> None:
    """What is complete, partial, unavailable or never asked, by day and source."""
    from history_pipeline.cli.status import run_status

    raise typer.Exit(run_status())


@app.command()
def explain(
    interaction_id: Annotated[str, typer.Argument(metavar="INTERACTION_ID")],
) -> None:
    """An interaction's whole way: request, attempt, answer, file, load, models."""
    from history_pipeline.cli.explain import run_explain

    raise typer.Exit(run_explain(interaction_id))


@app.command()
def report() -> None:
    """Write a page of charts over what is published; it opens with no network."""
    from history_pipeline.cli.report import run_report

    raise typer.Exit(run_report())


@app.command()
def rebuild() -> None:
    """Make the warehouse anew from the lake, and publish it. Asks the server nothing."""
    from history_pipeline.cli.rebuild import run_rebuild

    raise typer.Exit(run_rebuild())


@app.command()
def rejects(
    replay: Annotated[bool, typer.Option("--replay", help="Read them again.")] = False,
) -> None:
    """The records that were set aside, by reason; with --replay, they are read again."""
    from history_pipeline.cli.rejects import run_rejects

    raise typer.Exit(run_rejects(to_replay=replay))


@app.command()
def forget(contact_id: Annotated[str, typer.Argument(metavar="CONTACT_ID")]) -> None:
    """Remove a contact from everything here, for good. Asks the server nothing."""
    from history_pipeline.cli.forget import run_forget

    raise typer.Exit(run_forget(contact_id))


@app.command()
def ui(port: int = 3000) -> None:
    """Open Dagster's UI, with its daemon, on the same data."""
    from history_pipeline.cli.ui import run_ui

    raise typer.Exit(run_ui(port))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def simulator(context: typer.Context) -> None:
    """Run the embedded server; see `history-pipeline simulator --help`."""
    os.execv(sys.executable, [sys.executable, "-m", "history_pipeline.simulator", *context.args])


def run() -> None:
    """The console script. Exits with a status of `exits.Exit`."""
    logs.set_up(told("HISTORY_LOG_FORMAT"))
    sys.exit(guarded(lambda: app(standalone_mode=True) and None))


__all__ = ["Exit", "app", "run"]
