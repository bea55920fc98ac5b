"""Charts as pictures, for where no script runs."""

from __future__ import annotations

import base64
from typing import Any

import vl_convert

from history_pipeline.report.charts import Spec

WIDTH = 620

_CONFIG: dict[str, Any] = {
    "background": "white",
    # a label for each mark would make the picture three times larger; the title is the label
    "aria": False,
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


def svg(spec: Spec, width: int = WIDTH) -> str:
    """A picture of the chart, `width` pixels wide without its axes. As PNG it would be ten times
    larger, and Dagster keeps one of each run."""
    return str(vl_convert.vegalite_to_svg({**spec, "width": width, "config": _CONFIG}))


def markdown(title: str, spec: Spec) -> str:
    """The picture inside a text of Markdown: nothing has to be fetched."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg(spec).encode()).decode()})"
