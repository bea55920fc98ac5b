"""What a run in Dagster prints with HISTORY_LOG_FORMAT=json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from history_pipeline_tests.dagster_ui.site import bare_environment, run_python

CUSTOMER = "Ms Example, 0151 2345"
_RUN = f"""
import logging
import dagster as dg
from history_pipeline import logs
from history_pipeline.defs import console
from history_pipeline.errors import ServerSilent
logs.set_up("json")
console.set_up()

@dg.asset
def broken(context):
    logs.name_run(context.run.run_id)
    context.log.info("asked for 3 days")
    logging.getLogger("history_pipeline.gws").warning("channel lost")
    try:
        raise ValueError({CUSTOMER!r})
    except ValueError as exc:
        raise ServerSilent("delivered nothing for 300 s") from exc

defs = dg.Definitions(
    assets=[broken],
    jobs=[dg.define_asset_job("daily")],
    executor=dg.in_process_executor,
)
with dg.DagsterInstance.ephemeral() as instance:
    defs.resolve_job_def("daily").execute_in_process(instance=instance, raise_on_error=False)
"""


@pytest.mark.slow
def test_messages_and_events_of_a_run_are_objects_that_name_it(tmp_path: Path) -> None:
    done = run_python(_RUN, cwd=tmp_path, environment=bare_environment())
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert len({line["run_id"] for line in lines}) == 1
    said = {line["message"]: line for line in lines}
    assert said["asked for 3 days"]["level"] == "info"
    assert (said["asked for 3 days"]["job"], said["asked for 3 days"]["step"]) == (
        "daily",
        "broken",
    )
    assert said["channel lost"]["logger"] == "history_pipeline.gws"
    (failure,) = [line for line in lines if line.get("event") == "STEP_FAILURE"]
    assert (failure["level"], failure["error"]) == ("error", "delivered nothing for 300 s")
    assert CUSTOMER not in done.stderr
