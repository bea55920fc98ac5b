"""A contact that is forgotten is nowhere, and comes back through nothing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from history_pipeline.errors import StorageError
from history_pipeline.history.flatten import Flattener
from history_pipeline.model import Contact, Source
from history_pipeline.storage import contact_list, files, forgetting, forgotten, locks, warehouse
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.history.answers import answered
from history_pipeline_tests.storage.lake import (
    MAY,
    NOON,
    Lake,
    Row,
    ledger_row,
    observation,
    reject,
    write_part,
)

WHO = "0007QaC0NF1D0001"
OTHERS = ["c1", "c2"]


def list_contacts(layout: Layout, *ids: str) -> None:
    spool = contact_list.ContactSpool(layout)
    spool.add_pass([[Contact(contact_id, {"name": f"of {contact_id}"}) for contact_id in ids]])
    spool.keep(NOON)
    spool.close()


def full(lake: Lake, *, known: bool = True) -> None:
    """A lake that holds the contact wherever one can be, or the same without it."""
    hers: list[Row] = [
        observation("hers", contact_id=WHO, requested_contact_id=WHO, subject="her own words"),
        observation("hers by request", contact_id=None, requested_contact_id=WHO),
        observation("hers by merger", contact_id=WHO, requested_contact_id="c1"),
    ]
    theirs = [
        observation("theirs", subject="nobody else's"),
        observation("theirs, merged", contact_id="c2", requested_contact_id=WHO if known else "c2"),
        observation(
            "theirs, with a mention",
            uri=f"/contacts/{WHO if known else '[forgotten]'}",
            attributes={"Related": f"to {WHO if known else '[forgotten]'}", "Empty": ""},
        ),
    ]
    rejects = [reject("1"), reject('{"id":5}')]
    if known:
        rejects += [
            reject('"x"', requested_contact_id=WHO),
            reject(json.dumps({"contactId": WHO})),
        ]
    ids = [*OTHERS, *([WHO] if known else [])]
    list_contacts(lake.layout, *ids)
    lake.run([*(hers if known else []), *theirs], contacts=ids, rejects=rejects)
    running = lake.start(ids, run=1)
    write_part(
        running,
        MAY,
        rows=[*(hers if known else []), *theirs],
        ledger=[ledger_row(name, Source.MAIN) for name in ids],
        rejects=rejects,
    )
    lake.load(1)


def everything(root: Path) -> str:
    """Every byte of a data directory, and every value of what is packed."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        found.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            found.append(repr(pq.read_table(path).to_pylist()))
            found.append(repr(pq.read_schema(path).metadata))
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as connection:
                for schema, name in connection.execute(
                    "select schema_name, table_name from duckdb_tables()"
                ).fetchall():
                    found.append(repr(connection.execute(f"from {schema}.{name}").fetchall()))
    return "\n".join(found)


def tables(lake: Lake) -> dict[str, list[Row]]:
    names = (
        "interactions",
        "interaction_attributes",
        "contacts",
        "requests",
        "rejects",
        "coverage",
    )
    return {name: lake.table(name) for name in names}


def test_nothing_of_the_contact_is_left_and_nothing_of_others_is_lost(tmp_path: Path) -> None:
    lake, wanted = Lake(Layout(tmp_path / "a")), Lake(Layout(tmp_path / "b"))
    full(lake)
    full(wanted, known=False)
    assert WHO in everything(lake.layout.root)
    receipt = forgetting.forget(lake.layout, WHO)
    warehouse.rebuild(lake.layout, NOON)
    left = everything(lake.layout.root)
    for trace in (WHO, "her own words", "hers"):
        assert trace not in left
    assert tables(lake)["interactions"] == tables(wanted)["interactions"]
    assert {name: rows for name, rows in tables(lake).items() if name != "requests"} == {
        name: rows for name, rows in tables(wanted).items() if name != "requests"
    }
    assert receipt.removed == {
        "interactions in the lake": 3,
        "contacts": 1,
        "requests": 2,
        "records set aside": 4,
        "lists of runs under way": 1,
        "interactions of runs under way": 3,
        "requests of runs under way": 1,
    }
    assert receipt.interaction_ids == {"hers", "hers by request", "hers by merger"}


def test_a_run_under_way_goes_on_without_the_contact(lake: Lake) -> None:
    full(lake)
    forgetting.forget(lake.layout, WHO)
    (running,) = [
        found for found in forgetting.attempts.every(lake.layout) if not found.is_finished
    ]
    assert running.contacts == 2
    assert running.contact_ids().to_pylist() == OTHERS
    write_part(
        running,
        MAY,
        ledger=[ledger_row(name, Source.ARCHIVE) for name in OTHERS],
    )
    lake.compact(running)
    assert WHO not in everything(lake.layout.root / "lake")


def test_no_list_and_no_run_brings_the_contact_back(lake: Lake) -> None:
    forgotten.add(lake.layout, WHO)
    list_contacts(lake.layout, WHO, *OTHERS)
    contact_list.add_discovered(lake.layout, {WHO, "c3"}, NOON)
    attempt = lake.start([WHO, *OTHERS])
    assert attempt.contacts == 2
    assert WHO not in everything(lake.layout.root)


@pytest.mark.parametrize("start", ["2024-05-03 10:00:00.000+0200", "no time at all"])
def test_an_answer_to_another_contact_does_not_bring_the_contact_back(
    lake: Lake, start: str
) -> None:
    record = {"id": "i1", "contactId": WHO, "startDate": start}
    others = {"id": "i2", "contactId": "c1", "startDate": "2024-05-03 10:00:00.000+0200"}
    flattener = Flattener(ZoneInfo("Europe/Berlin"), forgotten.add(lake.layout, WHO))
    flattened = flattener.flatten([answered(record, others, window=MAY)], run_at=0, asked=())
    assert flattened.observations["interaction_id"].to_pylist() == ["i2"]
    assert flattened.rejects.num_rows == 0


def test_forgetting_twice_and_forgetting_strangers_changes_nothing(lake: Lake) -> None:
    full(lake)
    assert not forgetting.forget(lake.layout, "stranger").removed
    forgetting.forget(lake.layout, WHO)
    before = everything(lake.layout.lake)
    assert not forgetting.forget(lake.layout, WHO).removed
    assert everything(lake.layout.lake) == before


def test_an_id_is_not_taken_for_a_pattern_or_for_sql(lake: Lake) -> None:
    odd = "o'%_[x]"
    list_contacts(lake.layout, odd, "o", *OTHERS)
    lake.run([observation("hers", contact_id=odd, requested_contact_id=odd), observation("theirs")])
    forgetting.forget(lake.layout, odd)
    assert [row["interaction_id"] for row in lake.day_rows()] == ["theirs"]
    assert contact_list.current_ids(lake.layout).to_pylist() == ["c1", "c2", "o"]


def test_the_hash_needs_the_key(tmp_path: Path) -> None:
    first, second = (forgotten.add(Layout(tmp_path / name), WHO) for name in "ab")
    assert first.digests != second.digests
    assert WHO in first
    assert "somebody" not in first
    assert first.without(pa.array(["x", WHO])).to_pylist() == ["x"]


def breaking(at: int, real: Callable[..., None]) -> Callable[..., None]:
    count = 0

    def replace(*arguments: Path) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise StorageError("killed")
        real(*arguments)

    return replace


@pytest.mark.parametrize("at", range(2, 8))
def test_killed_and_repeated_nothing_is_left_either(
    lake: Lake, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(lake)
    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", breaking(at, files.replace))
        with pytest.raises(StorageError, match="killed"):
            forgetting.forget(lake.layout, WHO)
    forgetting.forget(lake.layout, WHO)
    assert WHO not in everything(lake.layout.lake)


def test_what_a_load_has_set_aside_for_itself_is_not_taken_from_it(lake: Lake) -> None:
    full(lake)
    spilled = lake.layout.scratch / "spilled by a load"
    forgets = threading.Thread(target=forgetting.forget, args=(lake.layout, WHO))
    with warehouse.writing(lake.layout, "loading"):
        files.make_directory(spilled)
        forgets.start()
        deadline = time.monotonic() + 30
        while locks.holder(lake.layout.warehouse_lock.with_suffix(".queue")) is None:
            assert forgets.is_alive() and time.monotonic() < deadline, "it did not wait"
            time.sleep(0.01)
        assert spilled.exists()
    forgets.join(30)
    assert not spilled.exists()
