"""The console script `history-pipeline`: commands, exit status, and what a person sees."""

from history_pipeline.cli.app import run

__all__ = ["run"]
