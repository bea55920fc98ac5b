"""Killed at any instant, run again: the same result, and nothing asked again that was put down."""
