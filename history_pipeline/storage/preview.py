"""A look at what came in that shows no customer's text: ids, media types and times."""

from __future__ import annotations

import pandas as pd

from history_pipeline.model import Window
from history_pipeline.storage import database
from history_pipeline.storage.database import paths
from history_pipeline.storage.layout import Layout

_COLUMNS = "interaction_id, lower(media_type) as media_type, source, started_at, ended_at"


def preview_frame(layout: Layout, window: Window, rows: int = 10) -> pd.DataFrame:
    """The latest interactions of these days: id, media type, source and times, no more."""
    known = [path for path in map(layout.day, window) if path.exists()]
    if not known:
        return pd.DataFrame(columns=["interaction_id", "media_type", "source"])
    with database.in_memory(layout.scratch) as connection:
        return connection.execute(
            f"select {_COLUMNS} from read_parquet({paths(known[-3:])}) "
            f"order by started_at desc, interaction_id limit {rows}"
        ).df()


def preview(layout: Layout, window: Window) -> str:
    """The same as a table in text."""
    frame = preview_frame(layout, window)
    return frame.to_string(index=False) if len(frame) else "no interactions"
