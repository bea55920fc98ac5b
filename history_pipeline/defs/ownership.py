"""Whose the assets are, as Dagster's UI shows it."""

OWNERS = ["team:data-engineering"]
"""Of what asks, loads and publishes."""

MODEL_OWNERS = ["team:analytics"]
"""Of the models that analysts query."""
