"""Where the dbt project lies, and its manifest, which is made anew whenever the project changes.

The wheel carries the project inside the package; a checkout has it at the top.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import history_pipeline
from history_pipeline.defs.environment import told
from history_pipeline.errors import ModelError
from history_pipeline.settings import DEFAULT_DATA_DIR, Settings
from history_pipeline.storage import files, locks, space
from history_pipeline.storage.layout import Layout

DBT_VERSION = version("dbt-core")
PARSE_DEADLINE = 120.0
_SOURCES = ("*.yml", "*.sql", "*.csv")


def directory() -> Path:
    """The dbt project. Raises ModelError where the installation lacks it."""
    package = Path(history_pipeline.__file__).parent
    for candidate in (package / "dbt_project", package.parent / "dbt"):
        if (candidate / "dbt_project.yml").is_file():
            return candidate
    raise ModelError("the dbt project is missing from this installation")


def command() -> list[str]:
    """dbt of this very environment, as a child that ends with this process."""
    return [sys.executable, "-P", "-m", "history_pipeline.defs.dbt_child", str(os.getpid())]


def environment_layout() -> Layout:
    """The data directory as the environment names it; definitions load before settings do."""
    given = told("HISTORY_DATA_DIR")
    return Layout(Path(given).expanduser().absolute() if given else DEFAULT_DATA_DIR.absolute())


def environment(layout: Layout) -> dict[str, str]:
    """What dbt is told from outside: one file to work on, and nothing written beside it."""
    limit = told("HISTORY_DBT_MEMORY_LIMIT")
    return {
        "HISTORY_WAREHOUSE_PATH": str(layout.warehouse),
        # where dagster-dbt finds what parsing has left; a build writes where its caller says
        "DBT_TARGET_PATH": str(_parsed(layout)),
        "DBT_LOG_PATH": str(layout.dbt / "logs"),
        "DBT_LOG_LEVEL_FILE": "info",
        "DBT_PROFILES_DIR": str(directory()),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_NO_VERSION_CHECK": "1",
        "HISTORY_BUILT_BY_PIPELINE": "1",
        **({"HISTORY_DBT_MEMORY_LIMIT": limit} if limit else {}),
    }


def variables(settings: Settings) -> dict[str, str]:
    """What of the configuration the models depend on."""
    return {
        "GWS_TIMEZONE": settings.timezone,
        "HISTORY_BUSINESS_TIMEZONE": settings.business_zone,
        "HISTORY_SOURCES": ",".join(source.value for source in settings.sources),
        "HISTORY_ATTRIBUTE_COLUMNS": json.dumps(settings.column_attributes),
    }


def fingerprint(settings: Settings) -> str:
    """Which models these are, with which settings: the same name only for the same rows."""
    chosen = json.dumps(variables(settings), sort_keys=True)
    return f"{_digest()}-{hashlib.blake2b(chosen.encode(), digest_size=8).hexdigest()}"


def manifest(layout: Layout) -> Path:
    """dbt's manifest of the project as it is now, parsed where none is at hand."""
    files.keep_private()
    target = _parsed(layout)
    path = target / "manifest.json"
    if path.is_file():
        return path
    files.make_directory(layout.dbt)
    with locks.exclusive(layout.dbt / "parse.lock", "parsing the dbt project", PARSE_DEADLINE):
        if path.is_file():
            return path
        fresh = layout.dbt / "parsing"
        _parse(layout, fresh)
        if target.exists():
            files.remove_tree(target)
        files.replace(fresh, target)
    return path


def _parsed(layout: Layout) -> Path:
    return layout.dbt / f"manifest-{_digest()}"


def _parse(layout: Layout, target: Path) -> None:
    variables = {**os.environ, **environment(layout), "DBT_TARGET_PATH": str(target)}
    done = subprocess.run(
        [*command(), "--quiet", "parse", "--project-dir", str(directory())],
        env=variables,
        capture_output=True,
        text=True,
        timeout=PARSE_DEADLINE,
        check=False,
    )
    if done.returncode != 0:
        space.must_be_writable(layout.dbt)
        raise ModelError(f"dbt cannot parse its project: {done.stdout[-2000:]}")


def _digest() -> str:
    digest = hashlib.blake2b(DBT_VERSION.encode(), digest_size=8)
    root = directory()
    for pattern in _SOURCES:
        for path in sorted(root.rglob(pattern)):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
