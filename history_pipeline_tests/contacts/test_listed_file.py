"""`file:PATH`: ids as they are written, and a word for whatever is no list of contacts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from history_pipeline.contacts.listed_file import FileContacts
from history_pipeline.contacts.listing import refresh
from history_pipeline.errors import ConfigurationError
from history_pipeline.model import Contact
from history_pipeline.storage import contact_list
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.storage.lake import NOON


def written(tmp_path: Path, name: str, content: bytes | str) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def contacts(path: Path) -> list[Contact]:
    return [contact for page in FileContacts(path).pages() for contact in page]


def ids(path: Path) -> list[str]:
    return [contact.contact_id for contact in contacts(path)]


def mistake(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        contacts(path)
    return str(caught.value)


# -- CSV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("contact_id\n007\n000\n1e5\n", ["007", "000", "1e5"]),
        ("contact_id\n2024-01-01\ntrue\nNA\nnull\nNaN\n", ["2024-01-01", "true", "NA", "null", "NaN"]),
        ("\ufeffcontact_id,name\n1,a\n", ["1"]),
        ("name,contact_id\r\na,1\r\nb,2", ["1", "2"]),
        ('contact_id\n"a,b"\n"say ""hi"""\n', ["a,b", 'say "hi"']),
        ('"contact_id"\nß\n', ["ß"]),
        ("contact_id\n\n\n1\n\n", ["1"]),
        ("contact_id\n", []),
    ],
)  # fmt: skip
def test_ids_in_csv_are_read_as_they_are_written(
    tmp_path: Path, content: str, expected: list[str]
) -> None:
    assert ids(written(tmp_path, "list.csv", content)) == expected


def test_a_column_that_changes_its_type_late_changes_nothing(tmp_path: Path) -> None:
    rows = [f"{n:07d},{n}" for n in range(200_000)]
    rows[-1] = "letters,not a number"
    path = written(tmp_path, "list.csv", "\n".join(["contact_id,score", *rows]))
    assert path.stat().st_size > 2 * 1024 * 1024
    read = contacts(path)
    assert len(read) == 200_000
    assert read[7] == Contact("0000007", {"score": "7"})
    assert read[-1] == Contact("letters", {"score": "not a number"})


def test_other_columns_are_attributes_as_text(tmp_path: Path) -> None:
    path = written(tmp_path, "list.csv", 'contact_id,name,empty\n1,"x\ny",\n')
    assert contacts(path) == [Contact("1", {"name": "x\ny", "empty": ""})]


def test_line_breaks_in_quotes_change_nothing_in_a_large_file(tmp_path: Path) -> None:
    text = "\n".join(["c" * 60] * 6)
    rows = [f'{n:07d},"{text}"' for n in range(9_000)]
    path = written(tmp_path, "list.csv", "\n".join(["contact_id,note", *rows]))
    assert ids(path) == [f"{n:07d}" for n in range(9_000)]


# -- Parquet and JSON lines -----------------------------------------------------------------------


def parquet(tmp_path: Path, **columns: Any) -> Path:
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_is_read_in_batches_with_its_attributes(tmp_path: Path) -> None:
    names = [f"{n:05d}" for n in range(25_000)]
    path = parquet(tmp_path, contact_id=names, score=range(25_000))
    read = contacts(path)
    assert [contact.contact_id for contact in read] == names
    assert read[3].attributes == {"score": 3}


def test_numbers_are_ids_too(tmp_path: Path) -> None:
    assert ids(parquet(tmp_path, contact_id=pa.array([7, 2**62], pa.int64()))) == [
        "7",
        str(2**62),
    ]


def test_null_attributes_are_none(tmp_path: Path) -> None:
    path = parquet(tmp_path, contact_id=["a"], n=pa.array([None], pa.string()))
    assert contacts(path) == [Contact("a")]


def test_attributes_of_any_type_reach_the_lake(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        contact_id=["a"],
        at=[datetime(2024, 1, 1, tzinfo=UTC)],
        amount=[Decimal("1.50")],
        raw=[b"\xff"],
        tags=[["x", None]],
        score=[float("nan")],
    )
    layout = Layout(tmp_path / "home")
    refresh(FileContacts(path), layout, NOON)
    (row,) = pq.read_table(layout.contacts).to_pylist()
    assert set(json.loads(row["attributes"])) == {"at", "amount", "raw", "tags", "score"}


@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".json", ".JSONL"])
def test_json_lines_are_read(tmp_path: Path, ending: str) -> None:
    path = written(
        tmp_path,
        f"list{ending}",
        '{"contact_id":"007","x":{"y":[1]}}\r\n\n  \n{"x":null,"contact_id":8}\n'
        '{"contact_id":"\\ud83d\\ude00"}',
    )
    assert contacts(path) == [
        Contact("007", {"x": {"y": [1]}}),
        Contact("8"),
        Contact("\U0001f600"),
    ]


# -- mistakes -------------------------------------------------------------------------------------


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    text = mistake(written(tmp_path, "list.csv", "id,name\n1,a\n"))
    assert "no column `contact_id`" in text
    assert "no column `contact_id`" in mistake(parquet(tmp_path, id=["a"]))


@pytest.mark.parametrize(
    ("name", "content", "row"),
    [
        ("list.csv", "contact_id,n\n1,a\n,b\n", 2),
        ("list.csv", "contact_id,n\n1,a\n  ,b\n", 2),
        ("list.csv", 'contact_id\n1\n""\n', 2),
        ("list.jsonl", '{"contact_id":"1"}\n{"contact_id":""}\n', 2),
        ("list.jsonl", '{"contact_id":"1"}\n\n{"contact_id":null}\n', 2),
        ("list.jsonl", '{"contact_id":"1"}\n{"x":"1"}\n', 2),
        ("list.jsonl", '{"contact_id":["1"]}\n', 1),
        ("list.jsonl", "[1]\n", 1),
        ("list.jsonl", "null\n", 1),
    ],
)
def test_an_empty_or_missing_id_is_named_by_its_row(
    tmp_path: Path, name: str, content: str, row: int
) -> None:
    assert f"row {row} " in mistake(written(tmp_path, name, content))


def test_a_null_id_in_parquet_is_named(tmp_path: Path) -> None:
    assert "row 2 " in mistake(parquet(tmp_path, contact_id=["a", None]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", b""),
        ("list.csv", b"contact_id\n\xff\xfe\n"),
        ("list.csv", b"contact_id,n\n1,a,b\n"),
        ("list.parquet", b""),
        ("list.parquet", b"PAR1 no"),
        ("list.parquet", b"contact_id\n1\n"),
        ("list.jsonl", b"{"),
        ("list.jsonl", b'{"contact_id":"1"} {"contact_id":"2"}'),
        ("list.jsonl", b'{"contact_id":"\xff"}'),
        ("list.jsonl", b'[{"contact_id":"1"}]'),
    ],
)
def test_a_file_that_is_not_what_its_ending_says_is_named(
    tmp_path: Path, name: str, content: bytes
) -> None:
    text = mistake(written(tmp_path, name, content))
    assert text.startswith("HISTORY_CONTACTS")
    assert name in text


@pytest.mark.parametrize("name", ["list", "list.txt", "list.csv.gz", "list.xlsx"])
def test_an_unknown_ending_is_named(tmp_path: Path, name: str) -> None:
    assert "give a .csv, .parquet or .jsonl file" in mistake(
        written(tmp_path, name, "contact_id\n1\n")
    )


@pytest.mark.parametrize("name", ["list.csv", "list.parquet", "list.jsonl"])
def test_what_is_absent_or_a_directory_is_named(tmp_path: Path, name: str) -> None:
    assert name in mistake(tmp_path / name)
    (tmp_path / name).mkdir()
    assert name in mistake(tmp_path / name)


def test_a_mistake_quotes_nothing_of_the_file(tmp_path: Path) -> None:
    for name, content in [
        ("a.csv", "contact_id,n\n1,a customer's words,b\n"),
        ("b.csv", "a customer's words,n\n1,a\n"),
        ("c.jsonl", '{"contact_id":"1"}\na customer\'s words\n'),
    ]:
        assert "words" not in mistake(written(tmp_path, name, content))


def test_true_is_no_id(tmp_path: Path) -> None:
    assert mistake(written(tmp_path, "list.jsonl", '{"contact_id":true}\n'))


def test_a_file_that_breaks_off_changes_nothing_in_the_lake(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home")
    refresh(FileContacts(written(tmp_path, "good.csv", "contact_id\na\n")), layout, NOON)
    lines = [f'{{"contact_id":"c{n}"}}' for n in range(15_000)]
    bad = written(tmp_path, "bad.jsonl", "\n".join([*lines, "{"]))
    with pytest.raises(ConfigurationError):
        refresh(FileContacts(bad), layout, NOON)
    assert contact_list.current_ids(layout).to_pylist() == ["a"]


def test_a_contact_that_is_listed_twice_is_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "home")
    refresh(FileContacts(written(tmp_path, "l.csv", "contact_id\na\nb\na\n")), layout, NOON)
    assert contact_list.current_ids(layout).to_pylist() == ["a", "b"]
