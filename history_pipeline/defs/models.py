"""The dbt models as assets, built over the warehouse while nobody else writes to it."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from packaging.version import Version

from history_pipeline import logs
from history_pipeline.defs import dbt_ahead, dbt_project
from history_pipeline.defs.ownership import MODEL_OWNERS
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.errors import Damaged, ModelError
from history_pipeline.imports import without
from history_pipeline.settings import Settings
from history_pipeline.storage import database, files, obstacles, publishing, space
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.publishing import Published
from history_pipeline.storage.warehouse import writing

# dbt is at work in a process of its own; here it would take two seconds and 30 MB, to no end
with without("dbt"):
    from dagster_dbt import (
        DagsterDbtTranslator,
        DagsterDbtTranslatorSettings,
        DbtCliInvocation,
        DbtCliResource,
        dbt_assets,
    )
    from dagster_dbt.core import dbt_cli_invocation
    from dagster_dbt.errors import DagsterDbtCliRuntimeError

FEW = 4
"""Where more than one in so many interactions has changed, all are modelled anew."""

INTERRUPTED_SECONDS = 2
"""What dbt gets for an end of its own when the run is interrupted."""

_processes: list[subprocess.Popen[bytes]] = []
"""dbt, while it is at work: one at a time, for the warehouse has a lock."""

_LAYOUT = dbt_project.environment_layout()


class Translator(DagsterDbtTranslator):
    """dbt's sources are what `warehouse` loads. All assets are one group, because the UI folds
    several up and shows their names alone; a model's schema is a part of its key."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey("warehouse")
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return "history"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str] | None:
        return MODEL_OWNERS

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What the yml says. The default appends the SQL, which hides the columns below it."""
        return str(dbt_resource_props["description"])


class Dbt(DbtCliResource):
    """dbt without the two things that dagster-dbt prepares each time and nothing here uses: a
    process that asks for its version, and an adapter for reading columns and row counts. They
    cost 4 s each."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(dbt_project.DBT_VERSION)

    def _initialize_dbt_core_adapter(self, args: object) -> Any:
        return None


_MANIFEST = dbt_project.manifest(_LAYOUT)


@dbt_assets(
    manifest=_MANIFEST,
    dagster_dbt_translator=Translator(
        settings=DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
    ),
)
def models(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[Any]:
    """`dbt build`: staging, intermediate, marts and their tests."""
    layout, settings = pipeline.layout, pipeline.settings
    with writing(layout, "dbt"), _telling_what_failed(layout):
        with _build(layout, settings, context) as build:
            yield from build.stream()
        context.log.info(_summary(_results(_run_results(layout))))
        if not context.is_subset:
            publishing.mark_modelled(layout, dbt_project.fingerprint(settings))
        yield from _row_counts(layout, context.selected_asset_keys)


def _row_counts(layout: Layout, keys: Iterable[dg.AssetKey]) -> Iterator[dg.AssetObservation]:
    """How large the marts are now; views are not counted."""
    marts = [key for key in keys if key.path[0] == "marts"]
    with database.reading(layout.warehouse, layout.scratch) as connection:
        for key in marts:
            row = connection.execute(f"select count(*) from {'.'.join(key.path)}").fetchone()
            yield dg.AssetObservation(key, metadata={"dagster/row_count": row[0] if row else 0})


def publish(layout: Layout, settings: Settings) -> Published:
    """Publishes models that show all that is loaded. They are built anew where they do not:
    only a part of them was selected, another run has loaded since they were built, or they are
    others by now.

    Raises ModelError where a model, or a test that is an error, fails.
    """
    # one lock for all of it: who loads in between would make the models old again
    with writing(layout, "publishing"):
        if layout.warehouse.exists() and _are_old(layout, settings):
            with _telling_what_failed(layout):
                with _build(layout, settings) as build:
                    build.wait()
                publishing.mark_modelled(layout, dbt_project.fingerprint(settings))
        return publishing.publish(layout)


def _are_old(layout: Layout, settings: Settings) -> bool:
    state = publishing.model_state(layout)
    return state.loads != state.modelled or state.modelled_as != dbt_project.fingerprint(settings)


def build_flags(layout: Layout, settings: Settings) -> list[str]:
    """What is incremental goes on from a whole build of the same models alone."""
    state = publishing.model_state(layout)
    goes_on = (
        state.modelled > 0
        and state.modelled_as == dbt_project.fingerprint(settings)
        and state.changed * FEW <= state.interactions
    )
    return [] if goes_on else ["--full-refresh"]


@contextmanager
def _telling_what_failed(layout: Layout) -> Iterator[None]:
    """Names what dbt could not build or test. dbt's own words may quote a customer's text, and
    Dagster would keep them."""
    results = _run_results(layout)
    files.remove_tree(results)
    try:
        yield
    except DagsterDbtCliRuntimeError:
        space.must_be_writable(layout.root)
        failed = [result for result in _results(results) if result["status"] in ("error", "fail")]
        number = obstacles.number_in(" ".join(str(result.get("message")) for result in failed))
        if number is not None:
            raise obstacles.error(f"store {layout.warehouse}", number, "dbt failed") from None
        names = ", ".join(str(result["unique_id"]).split(".")[2] for result in failed)
        raise ModelError(
            f"dbt could not build or test {names or 'its models'}; "
            f"{results.with_name('dbt.log')} says why"
        ) from None


def _run_results(layout: Layout) -> Path:
    return layout.dbt / "target" / "run_results.json"


def _summary(results: list[dict[str, Any]]) -> str:
    """How many models were built and tests passed, and which tests warn."""
    kinds = Counter(str(result["unique_id"]).split(".")[0] for result in results)
    warned = [str(r["unique_id"]).split(".")[2] for r in results if r["status"] == "warn"]
    told = f"{kinds['model']} models built, {kinds['test']} tests: none failed"
    return f"{told}, {len(warned)} warn ({', '.join(warned)})" if warned else told


def _results(path: Path) -> list[dict[str, Any]]:
    """What dbt has written down; nothing where it did not come to that, or broke off there."""
    try:
        return list((files.read_json(path) or {}).get("results", []))
    except Damaged:
        return []


@contextmanager
def _build(
    layout: Layout, settings: Settings, context: dg.AssetExecutionContext | None = None
) -> Iterator[DbtCliInvocation]:
    """dbt at work on what the context selects, or on everything. It raises while it is read, and
    it has ended when the block is left, however that comes about."""
    with database.writing(layout.warehouse, layout.scratch):
        pass  # whoever else has it open is waited for here; dbt would not wait
    executable, *told = dbt_project.command()
    cli = Dbt(
        project_dir=str(dbt_project.directory()),
        dbt_executable=executable,
        global_config_flags=told,
    )
    flags = build_flags(layout, settings)
    if flags:
        publishing.unmark_modelled(layout)
    # without a context, dagster-dbt wants to be told which manifest
    manifest = None if context else _MANIFEST
    variables = dbt_project.environment(layout) | dbt_project.variables(settings)
    with _environment(variables), dbt_ahead.used_by(dbt_cli_invocation):
        build = cli.cli(
            ["build", "--exclude-resource-types", "unit_test", *flags],
            context=context,
            manifest=manifest,
            target_path=layout.dbt / "target",
        )
    build.termination_timeout_seconds = INTERRUPTED_SECONDS
    _processes.append(build.process)
    try:
        with logs.printed_by("dbt"):
            yield build
    finally:
        end_builds()


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The environment that dagster-dbt hands on to dbt. It is as before when the block is left: a
    dbt that somebody starts later is not the pipeline's."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def end_builds() -> None:
    """Leaves no dbt behind. Call it after a run: a step that was interrupted while Dagster handled
    one of its events is never closed. DuckDB undoes what is not whole."""
    while _processes:
        process = _processes.pop()
        process.kill()
        process.wait()


model_keys = list(models.keys)

last_keys = [key for key in model_keys if not any(key in on for on in models.asset_deps.values())]
"""The models that no other one reads: what comes after these comes after all."""
