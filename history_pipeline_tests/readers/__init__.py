"""Analysts read the published file while it is loaded and published, again and again."""
