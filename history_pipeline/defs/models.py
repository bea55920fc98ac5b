"""The dbt models as assets, built over the warehouse while nobody else writes to it."""

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import dagster as dg
import dbt.version
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)
from packaging.version import Version

from history_pipeline.defs import dbt_project
from history_pipeline.defs.pipeline import Pipeline
from history_pipeline.storage import publishing
from history_pipeline.storage.layout import Layout
from history_pipeline.storage.warehouse import writing

_LAYOUT = dbt_project.environment_layout()


class Translator(DagsterDbtTranslator):
    """dbt's sources are what `warehouse` loads; a model's group is its schema."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey("warehouse")
        return super().get_asset_key(dbt_resource_props)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return str(dbt_resource_props["config"].get("schema") or "models")


class Dbt(DbtCliResource):
    """dbt without the two things that dagster-dbt prepares each time and nothing here uses: a
    process that asks for its version, and an adapter for reading columns and row counts. They
    cost 4 s each."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(dbt.version.__version__)

    def _initialize_dbt_core_adapter(self, args: object) -> Any:
        return None


@dbt_assets(
    manifest=dbt_project.manifest(_LAYOUT),
    dagster_dbt_translator=Translator(
        settings=DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True)
    ),
)
def models(
    context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[Any]:
    """`dbt build`: staging, intermediate, marts and their tests."""
    layout = pipeline.layout
    with writing(layout, "dbt"):
        yield from build(layout, context)
        if not context.is_subset:
            publishing.mark_modelled(layout)


def build(layout: Layout, context: dg.AssetExecutionContext) -> Iterator[Any]:
    """dbt's events. Raises where a model, or a test that is an error, fails."""
    told = dbt_project.environment(layout)
    os.environ.update(told)
    cli = Dbt(project_dir=str(dbt_project.directory()), dbt_executable=dbt_project.executable())
    invocation = cli.cli(["build"], context=context, target_path=layout.dbt / "target")
    yield from invocation.stream()


model_keys = list(models.keys)
