"""Proves and loads the interaction history of a Genesys Web Services contact centre."""

__version__ = "0.1.0"
