"""`report`: a page of charts over what is published."""

import dagster as dg

from history_pipeline.defs.ownership import OWNERS
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.defs.published import published
from history_pipeline.history.opening import utc_now
from history_pipeline.report import charts, page, pictures, words
from history_pipeline.report.facts import Facts

_SHOWN = ("volume", "backlog", "repeats", "week")


@dg.asset(deps=[published], group_name="history", kinds={"html"}, owners=OWNERS)
def report(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster wants it bare
    """`report.html`: volume, backlog, repeat contacts, the week, completeness, runs and rejects as
    charts, in one file that opens with no network. It shows no customer's text.
    """
    written = page.write(pipeline.layout, server=pipeline.settings.url, now=utc_now())
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(written.path),
            "size (MB)": round(written.size / 1e6, 2),
            "in words": f"{words.summary(written.facts)} {words.trust(written.facts)}",
            "last run": words.last_run(written.facts),
            **_charts(written.facts),
        }
    )


def _charts(facts: Facts) -> dict[str, dg.MetadataValue]:
    specs = charts.all_of(facts)
    return {
        f"chart: {name}": dg.MetadataValue.md(pictures.markdown(name, specs[name]))
        for name in _SHOWN
        if name in specs
    }
