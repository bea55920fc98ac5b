"""The chart library's script, as a text to be put into a page: Vega-Lite and vega-embed, which
the package vl-convert-python carries."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import vl_convert

from history_pipeline.storage import files

_EXPORTS = "window.vegaEmbed = vegaEmbed;"


def source(cache: Path) -> str:
    """The script. Putting it together takes seconds, so it is kept in `cache`, by version."""
    kept = cache / f"vega-{metadata.version('vl-convert-python')}.js"
    if not kept.exists():
        files.replace_text(vl_convert.javascript_bundle(_EXPORTS), kept)
    return kept.read_text(encoding="utf-8")
