"""Every field finds its column; what cannot be read costs nothing else."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history_pipeline.history.flatten import Flattener, reject_id
from history_pipeline.model import Source, Window
from history_pipeline.storage.schemas import OBSERVATIONS, REJECTS
from history_pipeline_tests.history.answers import (
    OBSERVED_AT,
    RUN_AT,
    WINDOW,
    answered,
    record,
    seed_records,
)

BERLIN = ZoneInfo("Europe/Berlin")
ASKED = ("SearchId", "CustomerId")


def flatten(
    *records: Any, source: Source = Source.MAIN, window: Window = WINDOW, zone: ZoneInfo = BERLIN
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows and rejects, as the files of a part would hold them."""
    answers = [answered(*records, source=source, window=window)]
    flattened = Flattener(zone).flatten(answers, run_at=RUN_AT, asked=ASKED)
    assert flattened.observations.schema == OBSERVATIONS
    assert flattened.rejects.schema == REJECTS
    assert flattened.landed == [flattened.observations.num_rows]
    assert flattened.rejected == [flattened.rejects.num_rows]
    flattened.observations.validate(full=True)
    return flattened.observations.to_pylist(), flattened.rejects.to_pylist()


def one(**fields: Any) -> dict[str, Any]:
    (row,), rejects = flatten(record(**fields))
    assert not rejects
    return row


def reasons(*records: Any) -> list[str]:
    return [reject["reason"] for reject in flatten(*records)[1]]


# -- the printed sample ---------------------------------------------------------------------------


def test_every_field_of_the_printed_sample_lands_in_its_column() -> None:
    rows, rejects = flatten(*seed_records())
    assert not rejects
    first, second, third = rows
    assert first == {
        "interaction_id": "00016aB14RQD003N",
        "contact_id": "00012aB0T770000M",
        "requested_contact_id": "c1",
        "media_type": "Chat",
        "type_id": "Inbound",
        "state": "InProcess",
        "subject": "Customer support",
        "uri": "http://localhost:8080/api/v2/interactions/00016aB14RQD003N",
        "started_at": datetime(2015, 10, 1, 13, 2, 7, tzinfo=UTC),
        "ended_at": datetime(2015, 10, 1, 13, 2, 10, tzinfo=UTC),
        "started_at_text": "2015-10-01 16:02:07.000+0300",
        "ended_at_text": "2015-10-01 16:02:10.000+0300",
        "owner_id": None,
        "owner_user_name": None,
        "owner_first_name": None,
        "owner_last_name": None,
        "source": "main",
        "extra": None,
        "window_date": date(2015, 10, 1),
        "attributes": [
            {"name": "SearchId", "value": "123456", "value_type": "string"},
            {"name": "CustomerId", "value": "a21d4c3", "value_type": "string"},
        ],
        "observed_at": datetime.fromtimestamp(OBSERVED_AT / 1e6, UTC),
        "run_at": datetime.fromtimestamp(RUN_AT / 1e6, UTC),
        "asked": '["SearchId","CustomerId"]',
        "is_own": False,
        "seen_in_main": True,
        "seen_in_archive": False,
        "first_seen_at": datetime.fromtimestamp(OBSERVED_AT / 1e6, UTC),
        "last_seen_at": datetime.fromtimestamp(OBSERVED_AT / 1e6, UTC),
        "contact_seen_at": datetime.fromtimestamp(OBSERVED_AT / 1e6, UTC),
        "unchanged_since": datetime.fromtimestamp(OBSERVED_AT / 1e6, UTC),
        "superseded_at": None,
    }
    assert (second["ended_at"], second["ended_at_text"]) == (None, None)
    assert [third[f"owner_{name}"] for name in ("id", "user_name", "first_name", "last_name")] == [
        "e6f2ad1b26ea4e9b8dd907eabe167522",
        "a1",
        "a1",
        "a1",
    ]


# -- what is set aside ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (None, "not_an_object"),
        (3, "not_an_object"),
        ("text", "not_an_object"),
        ([], "not_an_object"),
        (True, "not_an_object"),
        ({}, "start_missing"),
        (record(None), "no_usable_id"),
        (record(""), "no_usable_id"),
        (record("  "), "no_usable_id"),
        (record(17), "no_usable_id"),
        (record(["i"]), "no_usable_id"),
        ({"startDate": "2015-10-02 12:00:00.000+0200"}, "no_usable_id"),
        (record(startDate=None), "start_missing"),
        (record(startDate=""), "start_unreadable"),
        (record(startDate="2015-10-02 12:00:00"), "start_without_offset"),
        (record(startDate=1443780000000), "start_not_text"),
        (record(startDate="0001-01-01 00:00:00.000+0000"), "start_out_of_range"),
        (msgspec.Raw(b'{"id":"i","startDate":"\\ud83d"}'), "not_readable_json"),
        (msgspec.Raw(b'{"id":"i","n":NaN}'), "not_readable_json"),
        (msgspec.Raw(b'{"id":"i","n":1e999}'), "not_readable_json"),
        (msgspec.Raw(b'{"id":"\xff"}'), "not_readable_json"),
    ],
)
def test_a_record_that_cannot_be_read_is_set_aside_and_its_neighbours_land(
    odd: Any, reason: str
) -> None:
    rows, rejects = flatten(record("before"), odd, record("after"))
    assert [row["interaction_id"] for row in rows] == ["before", "after"]
    assert [reject["reason"] for reject in rejects] == [reason]


def test_a_reject_can_be_looked_at_and_replayed() -> None:
    (reject,) = flatten({"id": "", "startDate": "2015-10-02 12:00:00.000+0200", "ä": [1, None]})[1]
    assert json.loads(reject["payload"])["ä"] == [1, None]
    assert reject["requested_contact_id"] == "c1"
    assert reject["window_start"] == WINDOW.start
    assert reject["source"] == "main"


def test_the_same_record_set_aside_again_is_the_same_reject() -> None:
    other_window = Window(date(2015, 11, 1), date(2015, 12, 1))
    (first,) = flatten(None)[1]
    (again,) = flatten(None, window=other_window)[1]
    (archive,) = flatten(None, source=Source.ARCHIVE)[1]
    assert first["reject_id"] == again["reject_id"] != archive["reject_id"]


@pytest.mark.parametrize(
    "payload", ['{"id": "", "x": "\\u00e9"}', '{"id":"","x":"é"}', '{\n"id":"","x":"é"}']
)
def test_a_record_that_is_written_otherwise_is_the_same_reject(payload: str) -> None:
    """A neighbour that cannot be decoded has the whole reply written anew."""
    assert reject_id("a", Source.MAIN, payload) == reject_id(
        "a", Source.MAIN, '{"id": "", "x": "é"}'
    )
    assert reject_id("a", Source.MAIN, payload) != reject_id("a", Source.MAIN, '{"id": ""}')


def test_the_parts_of_a_reject_id_do_not_run_into_each_other() -> None:
    assert reject_id("a", Source.MAIN, "bc") != reject_id("ab", Source.MAIN, "c")
    assert reject_id("\ud800", Source.MAIN, "x") != reject_id("\ud801", Source.MAIN, "x")


# -- what lands all the same ----------------------------------------------------------------------

PLACES = ["contactId", "mediaType", "typeId", "state", "subject", "uri"]


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    ("value", "kept"),
    [(None, None), ("", ""), (5, "5"), (1.5, "1.5"), (True, "true"), ([1, "a"], '[1,"a"]'),
     ({"b": 1, "a": None}, '{"a":null,"b":1}'), ({}, "{}"), (2**70, str(2**70))],
)  # fmt: skip
def test_a_field_of_another_type_is_kept_as_json(name: str, value: Any, kept: str | None) -> None:
    columns = {"contactId": "contact_id", "mediaType": "media_type", "typeId": "type_id"}
    assert one(**{name: value})[columns.get(name, name)] == kept


@pytest.mark.parametrize(
    ("end", "ended", "text"),
    [
        (None, False, None),
        ("2015-10-02 12:00:01.000+0200", True, "2015-10-02 12:00:01.000+0200"),
        ("", False, ""),
        ("later", False, "later"),
        ("2015-10-02 12:00:01.000", False, "2015-10-02 12:00:01.000"),
        (1443780000000, False, "1443780000000"),
        ({"at": 1}, False, '{"at":1}'),
    ],
)
def test_an_end_that_cannot_be_read_leaves_the_interaction_open_and_is_kept_as_text(
    end: Any, ended: bool, text: str | None
) -> None:
    row = one(endDate=end)
    assert (row["ended_at"] is not None, row["ended_at_text"]) == (ended, text)


@pytest.mark.parametrize(
    ("owner", "columns", "extra"),
    [
        (None, [None] * 4, None),
        ({}, [None] * 4, None),
        ({"id": "o", "userName": "u", "firstName": "f", "lastName": "l"}, ["o", "u", "f", "l"], None),
        ({"id": 7, "userName": None}, ["7", None, None, None], None),
        ({"id": "o", "place": "x"}, ["o", None, None, None], {"ownerInformation": {"place": "x"}}),
        ([{"id": "o"}], [None] * 4, {"ownerInformation": [{"id": "o"}]}),
        ("o", [None] * 4, {"ownerInformation": "o"}),
        (False, [None] * 4, {"ownerInformation": False}),
    ],
)  # fmt: skip
def test_an_owner_lands_and_nothing_of_it_is_lost(
    owner: Any, columns: list[str | None], extra: Any
) -> None:
    row = one(ownerInformation=owner)
    names = ("id", "user_name", "first_name", "last_name")
    assert [row[f"owner_{name}"] for name in names] == columns
    assert (row["extra"] and json.loads(row["extra"])) == extra


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [("", "", "string"), ("x", "x", "string"), (None, "null", "null"), (5, "5", "number"),
     (1.5, "1.5", "number"), (True, "true", "boolean"), ([], "[]", "array"),
     ({"b": 1, "a": 2}, '{"a":2,"b":1}', "object"), (2**70, str(2**70), "number")],
)  # fmt: skip
def test_an_attribute_keeps_its_text_and_says_its_type(value: Any, text: str, kind: str) -> None:
    assert one(customAttributes={"n": value})["attributes"] == [
        {"name": "n", "value": text, "value_type": kind}
    ]


def test_attribute_names_are_kept_exactly() -> None:
    names = ["OrderNo", "orderno", "a.b", "", " ", 'say "hi"', "a,b", "ß", "\U0001f600", "\u0000"]
    attributes = one(customAttributes=dict.fromkeys(names, "v"))["attributes"]
    assert [attribute["name"] for attribute in attributes] == names


@pytest.mark.parametrize("attributes", [[], "x", 5, False, [{"name": "a"}]])
def test_attributes_of_another_shape_go_to_extra(attributes: Any) -> None:
    row = one(customAttributes=attributes)
    assert row["attributes"] == []
    assert json.loads(row["extra"]) == {"customAttributes": attributes}


def test_fields_that_the_sample_does_not_have_go_to_extra() -> None:
    fields = {"parentId": "p", "comment": None, "userData": {"b": [1], "a": {}}, "ID": "other case"}
    assert json.loads(one(**fields)["extra"]) == fields


def test_the_same_extra_is_the_same_text() -> None:
    forward, backward = one(x=1, y={"b": 1, "a": 2}), one(y={"a": 2, "b": 1}, x=1)
    assert forward["extra"] == backward["extra"]


@pytest.mark.parametrize(
    ("contact_id", "own"),
    [("c1", True), ("C1", False), ("other", False), (None, False), (1, False)],
)
def test_a_row_knows_whether_it_is_of_the_contact_asked_for(contact_id: Any, own: bool) -> None:
    assert one(contactId=contact_id)["is_own"] is own


# -- the window's edges ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "lands"),
    [
        ("2015-09-30 23:59:59.999+0200", False),
        ("2015-10-01 00:00:00.000+0200", True),
        ("2015-09-30 22:00:00.000+0000", True),
        ("2015-10-31 23:59:59.999+0100", True),
        ("2015-11-01 00:00:00.000+0100", False),
        ("2015-11-01 00:30:00.000+0200", True),
        ("2015-10-31 23:30:00.000+0000", False),
    ],
)
def test_what_lies_beyond_the_window_is_cut_off_by_the_servers_local_day(
    start: str, lands: bool
) -> None:
    rows, rejects = flatten(record(startDate=start))
    assert (len(rows), len(rejects)) == (int(lands), 0)


@given(st.datetimes(datetime(2015, 9, 20), datetime(2015, 11, 10)))
def test_neighbouring_windows_share_every_record_between_them_without_overlap(
    moment: datetime,
) -> None:
    text = moment.isoformat(sep=" ", timespec="milliseconds") + "+0100"
    weeks = [Window(date(2015, 9, n), date(2015, 9, n + 1)) for n in range(18, 30)] + [
        Window(date(2015, 9, 30), date(2015, 10, 15)),
        Window(date(2015, 10, 15), date(2015, 11, 30)),
    ]
    assert sum(len(flatten(record(startDate=text), window=week)[0]) for week in weeks) == 1


# -- anything at all ------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["2015-10-02 12:00:00.000+0200", "2015-10-02", 10**400, -(2**63) - 1]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=10,
)
STARTS = st.sampled_from(
    [
        "2015-10-02 12:00:00.000+0200",
        "2015-09-30 23:30:00.000+0000",
        "2015-10-02T12:00:00Z",
        "soon",
        None,
        5,
    ]
)
JSON_RECORDS = JSON | st.builds(
    lambda fields, start: record("i") | fields | {"startDate": start},
    st.dictionaries(
        st.sampled_from(
            ["id", "contactId", "endDate", "ownerInformation", "customAttributes", "x"]
        ),
        JSON,
    ),
    STARTS,
)
FIELDS = ["id", "contactId", "mediaType", "typeId", "state", "subject", "uri", "startDate",
          "endDate", "ownerInformation", "customAttributes", "userData"]  # fmt: skip


def readable(element: Any) -> bool:
    """By law 6: an object with a usable id and a readable start."""
    return (
        isinstance(element, dict)
        and isinstance(element.get("id"), str)
        and bool(element["id"].strip())
        and element.get("startDate") == "2015-10-02 12:00:00.000+0200"
    )


@settings(max_examples=200)
@given(JSON | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), JSON).map(
    lambda fields: record("i") | fields))  # fmt: skip
def test_any_json_at_all_lands_or_is_set_aside_and_its_neighbours_land(element: Any) -> None:
    rows, rejects = flatten(record("before"), element, record("after"))
    ids = [row["interaction_id"] for row in rows]
    assert (ids[0], ids[-1]) == ("before", "after")
    assert len(rows) + len(rejects) == 3
    if readable(element):
        assert ids[1] == element["id"]


COLUMN_OF = {
    "contactId": "contact_id",
    "mediaType": "media_type",
    "typeId": "type_id",
    "state": "state",
    "subject": "subject",
    "uri": "uri",
    "endDate": "ended_at_text",
}


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from([*COLUMN_OF, "customAttributes", "userData", "x"]), JSON))
def test_nothing_that_a_record_says_is_lost(fields: dict[str, Any]) -> None:
    """The record can be told from its row."""
    row = one(**fields)
    extra = json.loads(row["extra"] or "{}")
    for name, value in fields.items():
        if name in COLUMN_OF:
            kept = row[COLUMN_OF[name]]
            assert (
                kept == value
                if value is None or isinstance(value, str)
                else (json.loads(kept) == value)
            )
        elif name == "customAttributes" and isinstance(value, dict):
            assert value == {
                each["name"]: each["value"]
                if each["value_type"] == "string"
                else json.loads(each["value"])
                for each in row["attributes"]
            }
        elif name != "customAttributes" or value is not None:
            assert extra[name] == value


OWNERS = st.dictionaries(st.sampled_from(["id", "userName", "firstName"]), JSON)
ATTRIBUTES = st.dictionaries(st.text(max_size=4), JSON)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from([*COLUMN_OF, "startDate"]), JSON | STARTS),
    st.fixed_dictionaries(
        {}, optional={"ownerInformation": OWNERS | JSON, "customAttributes": ATTRIBUTES | JSON}
    ),
    st.booleans(),
)
def test_a_field_that_the_sample_does_not_have_changes_nothing_else(
    fields: dict[str, Any], objects: dict[str, Any], is_first: bool
) -> None:
    """Such a record is decoded otherwise, and its neighbours in the answer with it."""
    given_ = record("i") | fields | objects
    usual = flatten(given_, record("after"))
    neighbour = record("with a rest", later="field")
    neighbours = [neighbour, given_] if is_first else [given_, neighbour]
    rows, rejects = flatten(*neighbours, record("after"))
    assert [row for row in rows if row["interaction_id"] != "with a rest"] == usual[0]
    assert rejects == usual[1]
    added, _ = flatten(given_ | {"later": "field"}, record("after"))
    for row in usual[0][:-1] + added[:-1]:
        row["extra"] = json.loads(row["extra"] or "{}")
    for row in usual[0][:-1]:
        row["extra"]["later"] = "field"
    assert added == usual[0]


OTHERS = st.sampled_from(
    ["later", "threadId", "kennungä", "no name", "", 'a"b', "\\", "\x00", "other_0"]
)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from([*COLUMN_OF, "customAttributes"]), JSON, max_size=2),
            st.dictionaries(OTHERS, JSON, max_size=3),
        ).map(lambda fields: record("i") | fields[0] | fields[1]),
        min_size=2,
        max_size=6,
    )
)
def test_what_was_met_before_changes_nothing(records: list[dict[str, Any]]) -> None:
    flattener = Flattener(BERLIN)
    for each in [*records, *records]:
        flattened = flattener.flatten([answered(each)], run_at=RUN_AT, asked=ASKED)
        assert (flattened.observations.to_pylist(), flattened.rejects.to_pylist()) == flatten(each)


def test_a_server_that_makes_names_up_loses_nothing() -> None:
    flattener = Flattener(BERLIN)
    for number in range(200):
        fields = {f"field{number}": number, f"field{number // 2}": None}
        flattened = flattener.flatten([answered(record(**fields))], run_at=RUN_AT, asked=ASKED)
        (extra,) = flattened.observations["extra"].to_pylist()
        assert json.loads(extra) == fields


@pytest.mark.parametrize("rest", [b"", b',"later":"a","l\\u0061ter":"b"'])
def test_of_a_field_that_is_there_twice_the_last_counts(rest: bytes) -> None:
    twice = (
        b'{"id":"i","startDate":"2015-10-02 12:00:00.000+0200","state":"a","state":"b",'
        b'"ownerInformation":{"id":"a","id":"b"},"customAttributes":{"n":"a","n":"b"}%b}'
    )
    flattener = Flattener(BERLIN)
    for _ in range(2):
        given_ = [answered(msgspec.Raw(twice % rest))]
        (row,) = flattener.flatten(given_, run_at=RUN_AT, asked=ASKED).observations.to_pylist()
        assert (row["state"], row["owner_id"]) == ("b", "b")
        assert [each["value"] for each in row["attributes"]] == ["b"]
        assert row["extra"] == ('{"later":"b"}' if rest else None)


@given(st.binary(min_size=1, max_size=50).filter(lambda text: not NOT_IN_A_TEXT & set(text)))
def test_bytes_of_any_kind_in_a_text_land_or_are_set_aside(text: bytes) -> None:
    """Such bytes pass who tells the records of an answer apart; others do not come so far."""
    odd = msgspec.Raw(b'{"id":"odd","startDate":"2015-10-02 12:00:00.000+0200","x":"%b"}' % text)
    rows, rejects = flatten(record("before"), odd, record("after"))
    try:
        readable_ = ["odd"] if text.decode() else []
    except UnicodeDecodeError:
        readable_ = []
    assert [row["interaction_id"] for row in rows] == ["before", *readable_, "after"]
    assert [reject["reason"] for reject in rejects] == ["not_readable_json"] * (not readable_)


NOT_IN_A_TEXT = {*range(32), ord('"'), ord("\\")}


def test_what_cannot_be_told_apart_is_set_aside_whole() -> None:
    rows, (reject,) = flatten(record("before"), msgspec.Raw(b"[" * 5_000 + b"]" * 5_000))
    assert rows == []
    assert reject["reason"] == "not_readable_json"
    assert "before" in reject["payload"]


# -- many answers at once -------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.lists(JSON_RECORDS, max_size=4), max_size=5), st.data())
def test_answers_flattened_together_give_what_each_gives_alone(
    answers: list[list[Any]], data: st.DataObject
) -> None:
    weeks = [
        WINDOW,
        Window(date(2015, 9, 1), date(2015, 10, 2)),
        Window(date(2015, 10, 2), date(2015, 10, 3)),
    ]
    batch = [
        answered(
            *records,
            contact_id=f"c{n}",
            source=data.draw(st.sampled_from(list(Source))),
            window=data.draw(st.sampled_from(weeks)),
            observed_at=OBSERVED_AT + n,
        )
        for n, records in enumerate(answers)
    ]
    together, apart = Flattener(BERLIN), Flattener(BERLIN)
    whole = together.flatten(batch, run_at=RUN_AT, asked=("a",))
    alone = [apart.flatten([each], run_at=RUN_AT, asked=("a",)) for each in batch]
    assert whole.landed == [each.landed[0] for each in alone]
    assert whole.rejected == [each.rejected[0] for each in alone]
    for name in ("observations", "rejects"):
        rows = [row for each in alone for row in getattr(each, name).to_pylist()]
        assert getattr(whole, name).to_pylist() == rows
    assert (together.read, together.odd_offsets) == (apart.read, apart.odd_offsets)
    assert together.offset_sample == apart.offset_sample


def test_an_empty_part_is_a_table_too() -> None:
    assert flatten() == ([], [])


# -- the zone -------------------------------------------------------------------------------------


def test_offsets_that_the_zone_does_not_have_are_counted() -> None:
    flattener = Flattener(BERLIN)
    records = [record(), record(startDate="2015-10-02 12:00:00.000+0300")]
    flattener.flatten([answered(*records)], run_at=RUN_AT, asked=())
    assert (flattener.read, flattener.odd_offsets) == (2, 1)
