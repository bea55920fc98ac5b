"""Dagster's entry: `workspace.yaml` names this module."""

from history_pipeline.defs import loading

defs = loading.load()
