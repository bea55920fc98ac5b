"""Charts as PNG, for where no script runs."""

from __future__ import annotations

import base64
from typing import Any

import vl_convert

from history_pipeline.report.charts import Spec

WIDTH = 620

_CONFIG: dict[str, Any] = {
    "background": "white",
    "padding": 12,
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"},
    "legend": {
        "orient": "bottom",
        "direction": "horizontal",
        "columns": 5,
        "labelFontSize": 12,
        "titleFontSize": 12,
    },
}


def png(spec: Spec, width: int = WIDTH) -> bytes:
    """A picture of the chart, `width` pixels wide without its axes."""
    whole = {**spec, "width": width, "config": _CONFIG}
    return bytes(vl_convert.vegalite_to_png(whole, scale=1))


def markdown(title: str, spec: Spec) -> str:
    """The picture inside a text of Markdown: nothing has to be fetched."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png(spec)).decode()})"
