"""`file:PATH`: CSV, Parquet or JSON lines with a `contact_id` column; other columns are
attributes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from history_pipeline.errors import ConfigurationError
from history_pipeline.model import Contact

_ID = "contact_id"
_ROWS = 10_000


class FileContacts:
    """Contacts of a file. Ids are read as text, so that leading zeros stay. Mistakes are those of
    the `variable` that names the file."""

    can_change = False

    def __init__(self, path: Path, variable: str = "HISTORY_CONTACTS") -> None:
        self._path = path
        self._variable = variable

    def pages(self) -> Iterator[list[Contact]]:
        """Raises ConfigurationError where the file cannot be read or has no contact ids."""
        row = 0
        try:
            for page in self._pages():
                contacts = []
                for fields in page:
                    row += 1
                    contacts.append(self._contact(row, fields))
                yield contacts
        except (OSError, ValueError, pa.ArrowException) as exc:
            raise ConfigurationError(
                f"{self._variable}: {self._path} cannot be read as {self._kind()} "
                f"(after row {row}): {getattr(exc, 'strerror', None) or type(exc).__name__}"
            ) from exc

    def _pages(self) -> Iterator[list[Any]]:
        match self._kind():
            case "Parquet":
                with pq.ParquetFile(self._path) as file:
                    self._require_column(file.schema_arrow.names)
                    for batch in file.iter_batches(_ROWS):
                        yield batch.to_pylist()
            case "CSV":
                lines = pa.csv.ParseOptions(newlines_in_values=True)
                with pa.csv.open_csv(self._path, parse_options=lines) as header:
                    names = header.schema.names
                self._require_column(names)
                # all as text: ids keep their leading zeros, and no column changes its type midway
                as_text = pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
                )
                with pa.csv.open_csv(
                    self._path, parse_options=lines, convert_options=as_text
                ) as reader:
                    for batch in reader:
                        yield batch.to_pylist()
            case _:
                with self._path.open("rb") as lines:
                    filled = (line for line in lines if line.strip())
                    while page := [msgspec.json.decode(line) for line in islice(filled, _ROWS)]:
                        yield page

    def _require_column(self, names: list[str]) -> None:
        if _ID not in names:
            raise ConfigurationError(
                f"{self._variable}: {self._path} has no column `{_ID}` (it has "
                f"{len(names)} others); name the column of contact ids so"
            )

    def _contact(self, row: int, fields: Any) -> Contact:
        if not isinstance(fields, dict) or _ID not in fields:
            raise ConfigurationError(f"{self._variable}: row {row} of {self._path} has no `{_ID}`")
        contact_id = fields.pop(_ID)
        is_id = isinstance(contact_id, str | int) and not isinstance(contact_id, bool)
        if not is_id or not str(contact_id).strip():
            raise ConfigurationError(
                f"{self._variable}: row {row} of {self._path} has an empty `{_ID}`"
            )
        return Contact(
            str(contact_id), {name: value for name, value in fields.items() if value is not None}
        )

    def _kind(self) -> str:
        match self._path.suffix.lower():
            case ".csv":
                return "CSV"
            case ".parquet":
                return "Parquet"
            case ".jsonl" | ".ndjson" | ".json":
                return "JSON lines"
            case suffix:
                raise ConfigurationError(
                    f"{self._variable}: {self._path} ends in {suffix or 'nothing'}; give a .csv, "
                    ".parquet or .jsonl file"
                )
