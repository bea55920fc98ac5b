"""What dbt makes of a warehouse as a whole: empty, ordinary, odd and broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from conftest import Build, Builder

ROOT = Path(__file__).parents[2]

INTERACTION = {
    "requested_contact_id": "c1",
    "contact_id": "c1",
    "media_type": "chat",
    "type_id": "Inbound",
    "state": "Stopped",
    "started_at": "2024-03-01 10:00:00+00",
    "started_at_text": "2024-03-01 11:00:00.000+0100",
    "source": "main",
    "seen_in_main": True,
    "seen_in_archive": False,
    "window_date": "2024-03-01",
    "first_seen_at": "2024-03-05 02:00:00+00",
    "last_seen_at": "2024-03-06 02:00:00+00",
}

NAMES = '["a", "A", "select", "1st"]'
"""The attributes that are configured."""


def insert(connection: duckdb.DuckDBPyConnection, table: str, **row: Any) -> None:
    marks = ", ".join("?" for _ in row)
    connection.execute(
        f"insert into raw_gws.{table} ({', '.join(row)}) values ({marks})", list(row.values())
    )


def an_ordinary_warehouse(connection: duckdb.DuckDBPyConnection) -> None:
    def interaction(interaction_id: str, **differences: Any) -> None:
        row = INTERACTION | {"interaction_id": interaction_id} | differences
        insert(connection, "interactions", **row)

    interaction(
        "i1",
        media_type="Chat",
        subject="a subject",
        uri="/i/1",
        ended_at="2024-03-01 10:07:39.25+00",
        owner_id="o1",
        owner_user_name="user",
        owner_first_name="first",
        owner_last_name="last",
        source="archive",
        seen_in_archive=True,
    )
    interaction("i2", started_at="2024-03-01 12:00:00+00")
    interaction("i3", contact_id="c2", media_type=None, type_id=None)
    # no list names c9; it ends before it starts
    interaction(
        "i4",
        requested_contact_id="c2",
        contact_id="c9",
        media_type="EMail",
        type_id="Outbound",
        started_at="2024-03-02 10:00:00+00",
        ended_at="2024-03-02 09:59:59+00",
        window_date="2024-03-02",
    )
    # names no contact, no media type that is documented, and no state that is
    on_the_second = {"started_at": "2024-03-02 08:00:00+00", "window_date": "2024-03-02"}
    interaction("i5", contact_id=None, media_type="", state="InProgress", **on_the_second)
    interaction("i6", media_type="Pigeon", **on_the_second)

    for interaction_id, name, value in (("i1", "A", "x"), ("i1", "a", ""), ("i2", 'q"."', None)):
        insert(
            connection,
            "interaction_attributes",
            interaction_id=interaction_id,
            name=name,
            value=value,
            value_type="string",
        )
    for contact_id, attributes, last_seen_at in (
        ("c1", '{"EmailAddress": "x@example.com"}', "2024-03-06 01:00:00+00"),
        ("c2", "{}", "2024-03-06 01:00:00+00"),
        ("c3", "{}", "2024-03-05 01:00:00+00"),
    ):
        insert(
            connection,
            "contacts",
            contact_id=contact_id,
            attributes=attributes,
            first_seen_at="2024-03-04 01:00:00+00",
            last_seen_at=last_seen_at,
        )
    for contact_id, source, end, state in (
        ("c1", "main", "2024-03-04", "answered"),
        ("c2", "main", "2024-03-03", "answered"),
        ("c3", "main", "2024-03-02", "gone"),
        ("c1", "archive", "2024-03-02", "unavailable"),
        ("c2", "archive", "2024-03-02", "failed"),
    ):
        insert(
            connection,
            "coverage",
            contact_id=contact_id,
            source=source,
            span_start="2024-03-01",
            span_end=end,
            state=state,
            is_whole=True,
            finished_at="2024-03-06 02:00:00+00",
        )
    insert(
        connection,
        "rejects",
        reject_id="r1",
        reason="no readable start",
        requested_contact_id="c1",
        window_start="2024-03-01",
        source="main",
        payload="null",
        seen_at="2024-03-06 02:00:00+00",
    )


def two_rows_for_one_interaction(connection: duckdb.DuckDBPyConnection) -> None:
    for contact_id in ("c1", "c2"):
        row = INTERACTION | {"interaction_id": "i1", "contact_id": contact_id}
        insert(connection, "interactions", **row)


@pytest.fixture(scope="module")
def ordinary(builder: Builder) -> Build:
    told = {"GWS_TIMEZONE": "UTC", "HISTORY_CUSTOM_ATTRIBUTES": NAMES}
    return builder.build("ordinary", an_ordinary_warehouse, **told)


@pytest.fixture
def ordinary_file(ordinary: Build) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(ordinary.warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def as_texts(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[str | None, ...]]:
    return connection.sql(f"select columns(*)::varchar from ({query})").fetchall()


def relations(connection: duckdb.DuckDBPyConnection, database: str) -> list[tuple[str, str]]:
    return connection.execute(
        """
        select schema_name, table_name from duckdb_tables() where database_name = $1
        union all
        select schema_name, view_name from duckdb_views() where database_name = $1 and not internal
        """,
        [database],
    ).fetchall()


def test_an_empty_warehouse_builds_green(empty: Build) -> None:
    assert empty.exit_status == 0, empty.output
    assert set(empty.statuses.values()) == {"success", "pass"}


def test_odd_content_warns_and_lets_the_build_pass(ordinary: Build) -> None:
    assert ordinary.exit_status == 0, ordinary.output
    warned = {name for name, status in ordinary.statuses.items() if status == "warn"}
    assert {name.split("__")[1] if "__" in name else name for name in warned} == {
        "interactions_media_type",
        "interactions_state",
        "interactions_end_after_they_start",
        "attributes_are_configured",
    }
    assert set(ordinary.statuses.values()) == {"success", "pass", "warn"}


@pytest.mark.slow
def test_a_key_that_occurs_twice_fails_the_build_before_the_marts(builder: Builder) -> None:
    broken = builder.build("broken", two_rows_for_one_interaction)
    assert broken.exit_status != 0
    failed = {name for name, status in broken.statuses.items() if status == "fail"}
    assert failed == {"is_key_stg_gws__interactions_interaction_id"}
    assert broken.statuses["interactions"] == "skipped"


def test_the_schemas_have_their_own_names(ordinary_file: duckdb.DuckDBPyConnection) -> None:
    schemas = {schema for schema, _ in relations(ordinary_file, "ordinary")}
    assert schemas == {"raw_gws", "staging", "intermediate", "marts"}


def test_dbt_keeps_the_storage_version_that_older_readers_need(
    ordinary_file: duckdb.DuckDBPyConnection,
) -> None:
    found = ordinary_file.sql(
        "select tags['storage_version'] from duckdb_databases() where database_name = 'ordinary'"
    ).fetchall()
    assert found[0][0].startswith("v1.2.0")


def test_a_copy_under_another_name_answers_every_table_and_view(
    ordinary: Build, tmp_path: Path
) -> None:
    copy = shutil.copy(ordinary.warehouse, tmp_path / "history.duckdb")
    with duckdb.connect(str(copy), read_only=True) as connection:
        found = relations(connection, "history")
        models = list((ROOT / "dbt" / "models").rglob("*.sql"))
        assert len(found) == len(relations_of_schema()) + len(models)
        for schema, name in found:
            connection.sql(f"select * from {schema}.{name}").fetchall()
        texts = connection.sql("select sql from duckdb_views() where not internal").fetchall()
        assert not [sql for (sql,) in texts if "warehouse" in sql]


def relations_of_schema() -> list[str]:
    schema = ROOT / "history_pipeline" / "storage" / "schema.sql"
    return [line for line in schema.read_text().splitlines() if line.startswith("create table")]


def test_a_copy_attached_under_a_third_name_answers_too(ordinary: Build, tmp_path: Path) -> None:
    copy = shutil.copy(ordinary.warehouse, tmp_path / "history.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"attach '{copy}' as h (read_only)")
        for schema, name in relations(connection, "h"):
            connection.sql(f"select * from h.{schema}.{name}").fetchall()
        assert connection.sql("select count(*) from h.marts.interactions").fetchall() == [(6,)]


def test_every_column_of_every_model_is_described(
    ordinary: Build, ordinary_file: duckdb.DuckDBPyConnection
) -> None:
    manifest = json.loads((ordinary.target / "manifest.json").read_text())
    models = [n for n in manifest["nodes"].values() if n["resource_type"] == "model"]
    described = {
        (model["schema"], model["name"], column["name"])
        for model in models
        for column in model["columns"].values()
        if column["description"]
    }
    existing = ordinary_file.sql(
        "select schema_name, table_name, column_name from duckdb_columns()"
        " where database_name = 'ordinary' and schema_name <> 'raw_gws'"
        # attributes are described by attribute_names
        " and (table_name <> 'interaction_attributes_wide'"
        " or column_name not in (select column_name from marts.attribute_names"
        " where is_configured))"
    ).fetchall()
    assert described == set(existing)
    assert all("ne row per " in model["description"] for model in models)


def test_analysts_find_the_descriptions_in_the_file(
    ordinary_file: duckdb.DuckDBPyConnection,
) -> None:
    missing = ordinary_file.sql(
        "select table_name, column_name from duckdb_columns()"
        " where schema_name = 'marts' and comment is null"
        " and table_name <> 'interaction_attributes_wide'"
    ).fetchall()
    assert missing == []


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "daily_channel_volume",
            "day DATE, media_type VARCHAR, type_id VARCHAR, interactions BIGINT, contacts BIGINT,"
            " median_duration_seconds DOUBLE, p90_duration_seconds DOUBLE",
        ),
        (
            "data_completeness",
            "day DATE, source VARCHAR, requests_planned BIGINT, requests_answered BIGINT,"
            " requests_unavailable BIGINT, requests_gone BIGINT, requests_failed BIGINT,"
            " rejects BIGINT, is_complete BOOLEAN",
        ),
        (
            "contacts",
            "contact_id VARCHAR, is_listed BOOLEAN, attributes JSON,"
            " first_interaction_at TIMESTAMP WITH TIME ZONE,"
            " last_interaction_at TIMESTAMP WITH TIME ZONE, interactions BIGINT,"
            " call_interactions BIGINT, chat_interactions BIGINT, email_interactions BIGINT,"
            " facebook_interactions BIGINT, facebooksession_interactions BIGINT,"
            " openmedia_interactions BIGINT, smssession_interactions BIGINT,"
            " twitter_interactions BIGINT, workitem_interactions BIGINT,"
            " other_interactions BIGINT, preferred_media_type VARCHAR,"
            " interactions_last_7_days BIGINT, interactions_last_30_days BIGINT,"
            " interactions_last_90_days BIGINT,"
            " open_interactions BIGINT, first_seen_at TIMESTAMP WITH TIME ZONE,"
            " last_seen_at TIMESTAMP WITH TIME ZONE",
        ),
        (
            "interactions",
            "interaction_id VARCHAR, contact_id VARCHAR, requested_contact_id VARCHAR,"
            " media_type VARCHAR, type_id VARCHAR, state VARCHAR, subject VARCHAR, uri VARCHAR,"
            " started_at TIMESTAMP WITH TIME ZONE, ended_at TIMESTAMP WITH TIME ZONE,"
            " started_at_local TIMESTAMP, ended_at_local TIMESTAMP, day DATE, server_day DATE,"
            " is_open BOOLEAN, duration_seconds DOUBLE, contact_sequence BIGINT,"
            " seconds_since_previous DOUBLE, days_since_previous BIGINT, days_until_next BIGINT,"
            " previous_media_type VARCHAR, is_repeat_7d BOOLEAN, owner_id VARCHAR,"
            " owner_user_name VARCHAR, owner_first_name VARCHAR, owner_last_name VARCHAR,"
            " source VARCHAR, is_seen_in_main BOOLEAN, is_seen_in_archive BOOLEAN,"
            " attribute_count BIGINT, first_seen_at TIMESTAMP WITH TIME ZONE,"
            " last_seen_at TIMESTAMP WITH TIME ZONE",
        ),
    ],
)
def test_a_mart_has_exactly_these_columns(
    ordinary_file: duckdb.DuckDBPyConnection, table: str, columns: str
) -> None:
    found = ordinary_file.sql(f"describe marts.{table}").fetchall()
    assert ", ".join(f"{name} {kind}" for name, kind, *_ in found) == columns


def test_an_interaction_is_served_whole(ordinary_file: duckdb.DuckDBPyConnection) -> None:
    query = "select * from marts.interactions where interaction_id = 'i1'"
    assert as_texts(ordinary_file, query) == [
        (
            *("i1", "c1", "c1", "chat", "Inbound", "Stopped", "a subject", "/i/1"),
            *("2024-03-01 10:00:00+00", "2024-03-01 10:07:39.25+00"),
            *("2024-03-01 10:00:00", "2024-03-01 10:07:39.25", "2024-03-01", "2024-03-01"),
            *("false", "459.25", "1", None, None, "0", None, "false"),
            *("o1", "user", "first", "last", "archive", "true", "true", "2"),
            *("2024-03-05 02:00:00+00", "2024-03-06 02:00:00+00"),
        )
    ]


def test_media_types_are_lowered_and_otherwise_kept(
    ordinary_file: duckdb.DuckDBPyConnection,
) -> None:
    for table in ("staging.stg_gws__interactions", "marts.interactions"):
        found = ordinary_file.sql(f"select interaction_id, media_type from {table} order by 1")
        assert found.fetchall() == [
            ("i1", "chat"),
            ("i2", "chat"),
            ("i3", None),
            ("i4", "email"),
            ("i5", ""),
            ("i6", "pigeon"),
        ]


def test_open_interactions_have_no_duration_and_wrong_ends_a_negative_one(
    ordinary_file: duckdb.DuckDBPyConnection,
) -> None:
    found = ordinary_file.sql(
        "select interaction_id, is_open, duration_seconds, attribute_count"
        " from marts.interactions where interaction_id in ('i2', 'i3', 'i4') order by 1"
    )
    assert found.fetchall() == [("i2", True, None, 1), ("i3", True, None, 0), ("i4", False, -1, 0)]


def test_contacts_are_those_listed_and_those_seen(ordinary_file: duckdb.DuckDBPyConnection) -> None:
    assert as_texts(ordinary_file, "from marts.contacts order by contact_id") == [
        (
            *("c1", "true", '{"EmailAddress": "x@example.com"}'),
            *("2024-03-01 10:00:00+00", "2024-03-02 08:00:00+00", "3"),
            *("0", "2", *"0000000", "1", "chat", "3", "3", "3", "2"),
            *("2024-03-04 01:00:00+00", "2024-03-06 01:00:00+00"),
        ),
        (
            *("c2", "true", "{}"),
            *("2024-03-01 10:00:00+00", "2024-03-01 10:00:00+00", "1"),
            *(*"000000000", "1", "unknown", "1", "1", "1", "1"),
            *("2024-03-04 01:00:00+00", "2024-03-06 01:00:00+00"),
        ),
        (
            *("c3", "true", "{}", None, None, "0", *"0000000000", None, "0", "0", "0", "0"),
            *("2024-03-04 01:00:00+00", "2024-03-05 01:00:00+00"),
        ),
        (
            *("c9", "false", None),
            *("2024-03-02 10:00:00+00", "2024-03-02 10:00:00+00", "1"),
            *("0", "0", "1", *"0000000", "email", "1", "1", "1", "0"),
            *("2024-03-05 02:00:00+00", "2024-03-06 02:00:00+00"),
        ),
    ]


def test_volume_counts_every_interaction_once(ordinary_file: duckdb.DuckDBPyConnection) -> None:
    assert as_texts(ordinary_file, "from marts.daily_channel_volume order by all") == [
        ("2024-03-01", "chat", "Inbound", "2", "1", "459.25", "459.25"),
        ("2024-03-01", "unknown", "unknown", "1", "1", None, None),
        ("2024-03-02", "", "Inbound", "1", "0", None, None),
        ("2024-03-02", "email", "Outbound", "1", "1", None, None),
        ("2024-03-02", "pigeon", "Inbound", "1", "1", None, None),
    ]


def test_attributes_have_columns_of_their_own_whatever_their_case(
    ordinary_file: duckdb.DuckDBPyConnection,
) -> None:
    names = as_texts(ordinary_file, "from marts.attribute_names order by column_name nulls last")
    assert names == [
        ("a", "a", "true", "1"),
        ("A", "a_2", "true", "1"),
        ("1st", "attribute_1st", "true", "0"),
        ("select", "select_", "true", "0"),
        ('q"."', None, "false", "1"),
    ]
    wide = "select interaction_id, a, a_2, select_, attribute_1st from "
    found = as_texts(ordinary_file, f"{wide} marts.interaction_attributes_wide order by 1")
    assert found[:2] == [
        ("i1", "", "x", None, None),
        ("i2", None, None, None, None),
    ]
    assert [row[0] for row in found] == [f"i{n}" for n in range(1, 7)]


@pytest.mark.slow
def test_unit_tests_agree_with_answers_worked_out_by_hand(builder: Builder, empty: Build) -> None:
    shutil.copy(empty.warehouse, builder.warehouse)
    done = builder.dbt("test", "--select", "test_type:unit")
    builder.warehouse.unlink()
    assert done.returncode == 0, done.stdout
    assert "PASS=11" in done.stdout, "ten, and the note of who builds"


@pytest.mark.slow
def test_what_is_built_by_hand_is_noted(builder: Builder, empty: Build) -> None:
    """The pipeline builds everything anew before it publishes; whoever parses or asks for the
    freshness has built nothing."""
    shutil.copy(empty.warehouse, builder.warehouse)

    def noted_after(*arguments: str, **environment: str) -> list[tuple[str | None]]:
        with duckdb.connect(str(builder.warehouse)) as connection:
            connection.execute("delete from raw_gws.load_state")
            connection.execute("insert into raw_gws.load_state values (1, 1, 3, 'these')")
        done = builder.dbt(*arguments, **environment)
        assert done.returncode == 0, done.stdout
        with duckdb.connect(str(builder.warehouse), read_only=True) as connection:
            return connection.sql("select modelled_as from raw_gws.load_state").fetchall()

    only = ("run", "--select", "attribute_names")
    assert noted_after(*only) == [(None,)]
    assert noted_after(*only, HISTORY_BUILT_BY_PIPELINE="1") == [("these",)]
    builder.warehouse.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("told", ["OrderNo", " ", "null"])
def test_names_that_are_no_list_do_not_keep_dagster_from_loading(
    builder: Builder, told: str
) -> None:
    done = builder.dbt("parse", HISTORY_CUSTOM_ATTRIBUTES=told)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_what_goes_on_from_the_last_build_ends_like_one_made_anew(
    builder: Builder, ordinary: Build
) -> None:
    """An interaction leaves its contact for another one, one comes in between two others, and one
    ends and loses an attribute: what the others' rows say of their neighbours changes too. Beside
    them, many change in one way or another, and many have only been seen again."""
    shutil.copy(ordinary.warehouse, builder.warehouse)
    environment = {"GWS_TIMEZONE": "Europe/Berlin", "HISTORY_CUSTOM_ATTRIBUTES": NAMES}

    def built(*flags: str) -> dict[str, list[Any]]:
        done = builder.dbt("build", "--exclude-resource-types", "unit_test", *flags, **environment)
        assert done.returncode == 0, done.stdout
        with duckdb.connect(str(builder.warehouse), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            found = relations(connection, "warehouse")
            marts = [name for schema, name in found if schema == "marts"]
            return {
                name: connection.sql(f"from marts.{name} order by all").fetchall() for name in marts
            }

    with duckdb.connect(str(builder.warehouse)) as connection:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        connection.execute(_MANY)
    before = built("--full-refresh")
    with duckdb.connect(str(builder.warehouse)) as connection:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        connection.execute(_CHANGES)
        between = {"interaction_id": "i7", "started_at": "2024-03-01 20:00:00+00"}
        insert(connection, "interactions", **(INTERACTION | between))
        for changed in ("i1", "i2", "i7"):
            insert(connection, "changed_interactions", interaction_id=changed)
    went_on = built()
    anew = built("--full-refresh")
    builder.warehouse.unlink()
    assert went_on == anew
    assert went_on["interactions"] != before["interactions"]
    sequence = {row[0]: row[16] for row in went_on["interactions"] if row[0] < "i8"}
    assert sequence == {"i1": 1, "i2": 1, "i3": 2, "i4": 1, "i5": None, "i6": 3, "i7": 2}


_MANY = """
    insert into raw_gws.interactions by name
    select
        'many' || number as interaction_id,
        'm' || (hash(number) % 40) as contact_id,
        'm' || (hash(number) % 40) as requested_contact_id,
        ['chat', 'email', 'call', null][(1 + hash(number, 1) % 4)::bigint] as media_type,
        timestamptz '2024-03-25 00:00:00+00' + to_minutes((hash(number, 2) % 20000)::bigint)
            as started_at,
        case when number % 5 > 0 then started_at + to_minutes((hash(number, 3) % 4000)::bigint) end
            as ended_at,
        'o' || (number % 3) as owner_id,
        '' as started_at_text, 'main' as source, true as seen_in_main, false as seen_in_archive,
        timezone('Europe/Berlin', started_at)::date as window_date,
        timestamptz '2024-05-01 00:00:00+00' as first_seen_at,
        timestamptz '2024-05-01 00:00:00+00' as last_seen_at
    from range(600) as numbers(number);
    insert into raw_gws.interaction_attributes
    select interaction_id, 'A', 'x' || row_number() over (order by interaction_id), 'string'
    from raw_gws.interactions where interaction_id like 'many%';
"""

_CHANGES = """
    update raw_gws.interactions set contact_id = 'c2' where interaction_id = 'i1';
    update raw_gws.interactions set ended_at = started_at + interval 1 hour
    where interaction_id = 'i2';
    delete from raw_gws.interaction_attributes where interaction_id = 'i2';

    create temp table struck as
    select interaction_id, hash(interaction_id, 7) % 20 as how
    from raw_gws.interactions where interaction_id like 'many%' and hash(interaction_id) % 3 = 0;
    update raw_gws.interactions as held set
        contact_id = case how when 0 then 'm1' when 1 then null when 2 then 'newcomer'
            else held.contact_id end,
        media_type = if(how = 3, 'workitem', held.media_type),
        started_at = if(how = 4, held.started_at - interval 9 day, held.started_at),
        ended_at = if(how = 5, held.started_at + interval 3 day, held.ended_at),
        state = if(how = 6, 'Pending', held.state),
        requested_contact_id = if(how = 7, 'newcomer', held.requested_contact_id),
        type_id = if(how = 8, 'Inbound', held.type_id),
        subject = if(how = 9, 'other', held.subject),
        uri = if(how = 10, 'other', held.uri),
        owner_id = if(how = 11, 'other', held.owner_id),
        owner_user_name = if(how = 12, 'other', held.owner_user_name),
        owner_first_name = if(how = 13, 'other', held.owner_first_name),
        owner_last_name = if(how = 14, 'other', held.owner_last_name),
        source = if(how = 15, 'archive', held.source),
        seen_in_main = how <> 16,
        seen_in_archive = how = 17,
        window_date = if(how = 18, held.window_date - 1, held.window_date),
        first_seen_at = if(how = 19, timestamptz '2024-04-30 00:00:00+00', held.first_seen_at),
        last_seen_at = timestamptz '2024-05-02 00:00:00+00'
    from struck where struck.interaction_id = held.interaction_id;
    insert into struck
    select interaction_id, 20 from raw_gws.interactions
    where interaction_id like 'many%' and hash(interaction_id) % 3 = 1;
    update raw_gws.interactions as held set last_seen_at = timestamptz '2024-05-02 00:00:00+00'
    from struck where struck.interaction_id = held.interaction_id and how = 20;
    update raw_gws.interaction_attributes set value = 'other'
    where interaction_id in (select interaction_id from struck where how = 6);
    insert into raw_gws.changed_interactions select interaction_id from struck;
"""


def test_completeness_is_built_as_a_table(ordinary_file: duckdb.DuckDBPyConnection) -> None:
    assert as_texts(ordinary_file, "from marts.data_completeness order by all") == [
        ("2024-03-01", "archive", "2", "0", "1", "0", "1", "0", "false"),
        ("2024-03-01", "main", "3", "2", "0", "1", "0", "1", "true"),
        ("2024-03-02", "main", "2", "2", "0", "0", "0", "0", "true"),
        ("2024-03-03", "main", "1", "1", "0", "0", "0", "0", "false"),
    ]


@pytest.mark.parametrize(
    ("second_span", "complaints"),
    [
        (("c1", "2024-03-05", "2024-03-07", "gone"), []),
        (("c2", "2024-03-04", "2024-03-07", "gone"), []),
        (("c1", "2024-03-04", "2024-03-07", "gone"), ["overlapping spans"]),
        (("c2", "2024-03-04", "2024-03-04", "gone"), ["empty span"]),
        (("c2", "2024-03-04", "2024-03-05", "lost"), ["unknown state"]),
    ],
)
def test_spans_that_overlap_or_say_nothing_are_errors(
    models: duckdb.DuckDBPyConnection,
    coverage_test_sql: str,
    second_span: tuple[str, str, str, str],
    complaints: list[str],
) -> None:
    for span in (("c1", "2024-03-01", "2024-03-05", "answered"), second_span):
        models.execute(
            "insert into raw_gws.coverage values ($1, 'main', $2, $3, $4, true, now())", span
        )
    found = models.sql(f"select what from ({coverage_test_sql})").fetchall()
    assert [what for (what,) in found] == complaints
