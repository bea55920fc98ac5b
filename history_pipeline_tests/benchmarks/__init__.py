"""Races against the bare loop and dlt, over one seeded world. `python -m` runs them."""
