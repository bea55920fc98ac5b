"""The settings to use as a `.env` file: those in force, with what `check` has found in their place.

What may hold a secret is never written, whatever it is: passwords, and variables that are kept from
logs. Creates a file for its owner alone, and overwrites none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from history_pipeline.errors import ConfigurationError, StorageError
from history_pipeline.model import Source
from history_pipeline.settings import Settings
from history_pipeline.storage import obstacles

_PASSWORD, _PASSWORD_FILE = "GWS_PASSWORD", "GWS_PASSWORD_FILE"
_HEAD = "# Written by `history-pipeline check`: the settings in force, with what it has found."
_FOUND = "# as found on the server:"


def refuse(path: Path) -> None:
    """Raises ConfigurationError where the file cannot be made."""
    if os.path.lexists(path):
        raise ConfigurationError(
            f"--write: {path} is there already and is not overwritten; give another name, or move "
            "it away"
        )
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"--write: there is no directory {path.absolute().parent}")


def write(path: Path, text: str) -> None:
    """Raises ConfigurationError where the file is there by now or may not be made, StorageError
    where it cannot be written."""
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        refuse(path)
        if obstacles.is_known(exc.errno):
            raise obstacles.error(f"store {path}", exc.errno, "") from exc
        raise ConfigurationError(f"--write: {path} cannot be made ({exc.strerror})") from exc
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        path.unlink(missing_ok=True)
        raise _not_stored(path, exc) from exc


def _not_stored(path: Path, exc: OSError) -> StorageError:
    return obstacles.error(f"store {path}", exc.errno, exc.strerror or type(exc).__name__)


def text_of(settings: Settings, found: Mapping[str, str]) -> str:
    """The file's whole text; it reads as the same settings, `found` being in force."""
    return "\n".join([_HEAD, *_lines(settings, found)]) + "\n"


def _lines(settings: Settings, found: Mapping[str, str]) -> Iterator[str]:
    for name, field, value in _told(settings):
        if name in (_PASSWORD, _PASSWORD_FILE) or name in found:
            continue
        if field.repr is False or isinstance(value, SecretStr):
            yield f"# {name} is set, and is not written: it may hold a secret"
        else:
            yield _line(name, _written(value))
    if settings.password_file is not None:
        yield _line(_PASSWORD_FILE, str(settings.password_file.absolute()))
    else:
        yield f"# {_PASSWORD} is not written: put it in a file, and set {_PASSWORD_FILE}=FILE"
    yield _FOUND
    for name, value in sorted(found.items()):
        yield _line(name, value)


def _told(settings: Settings) -> Iterable[tuple[str, FieldInfo, Any]]:
    """Name, field and value of what somebody has set."""
    for attribute, field in type(settings).model_fields.items():
        value = getattr(settings, attribute)
        alias = field.validation_alias
        names = getattr(alias, "choices", [alias])
        if attribute in settings.model_fields_set and value is not None:
            yield str(names[0]), field, value


def _written(value: Any) -> str:
    if isinstance(value, tuple) and value and all(isinstance(each, Source) for each in value):
        return ",".join(value)
    if isinstance(value, tuple | dict):
        # only in ASCII, and without what a `.env` file takes for a variable
        return json.dumps(value).replace("$", "\\u0024")
    return str(value)


def _line(name: str, value: str) -> str:
    if "${" in value or "\n" in value:
        return f"# {name} is set, and cannot be written in a file of this form"
    if value and all(sign.isalnum() or sign in "-_./:,+@%" for sign in value):
        return f"{name}={value}"
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{quoted}'"
