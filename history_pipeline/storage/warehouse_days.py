"""Days of the lake into the warehouse's interactions, their attributes and their versions.

Some days at a time, so that memory has a bound however many there are. Most interactions have one
copy, on one day: those are taken as they are. Knows which copy of the others wins only by
`folding`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb

from history_pipeline.storage.database import paths
from history_pipeline.storage.folding import content, folded, winners
from history_pipeline.storage.layout import Layout

ROWS_AT_ONCE = 1_000_000
"""Rows of the days that are loaded together: of most, only the ids are held."""

FOLDED_AT_ONCE = 200_000
"""Interactions whose copies are held while the best ones are chosen."""


def load(connection: duckdb.DuckDBPyConnection, layout: Layout, days: list[Path]) -> None:
    """Replaces the rows of every interaction in these days' files."""
    for group, share, shares in _portions(connection, days):
        of_share = "" if shares == 1 else f"where hash(interaction_id) % {shares} = {share}"
        connection.execute(f"""
            create or replace temp view incoming as from read_parquet({paths(group)}) {of_share};
            create or replace temp table ids as
            select interaction_id, count(*) as copies from incoming group by all;
        """)
        _load_incoming(connection, layout, set(group))
        connection.execute("drop table ids; drop view incoming")


def _portions(
    connection: duckdb.DuckDBPyConnection, days: list[Path]
) -> Iterator[tuple[list[Path], int, int]]:
    """Days that are loaded together; of a day that is too large, a share of its interactions."""
    if not days:
        return
    counted = dict(
        connection.execute(
            f"select file_name, num_rows from parquet_file_metadata({paths(days)})"
        ).fetchall()
    )
    group: list[Path] = []
    rows = 0
    for day in days:
        count = counted[str(day)]
        if group and rows + count > ROWS_AT_ONCE:
            yield group, 0, 1
            group, rows = [], 0
        if count > ROWS_AT_ONCE:
            shares = 1 + count // ROWS_AT_ONCE
            yield from (([day], share, shares) for share in range(shares))
            continue
        group.append(day)
        rows += count
    if group:
        yield group, 0, 1


def _load_incoming(connection: duckdb.DuckDBPyConnection, layout: Layout, days: set[Path]) -> None:
    """A day's file is the union of all that was ever seen of it, so its rows stand by themselves,
    except for interactions whose day has changed: for those, every day that they were seen on is
    folded together."""
    others = _days_of_moved(connection, layout, days)
    beside = f"union all by name from read_parquet({paths(others)})" if others else ""
    columns = ", ".join(
        row[0] for row in connection.execute("describe raw_gws.interactions").fetchall()
    )
    connection.execute(f"""
        insert into raw_gws.changed_interactions
        select interaction_id from ids
        anti join raw_gws.changed_interactions using (interaction_id)
        where (select modelled > 0 from raw_gws.load_state);

        create or replace temp table several as
        select interaction_id from ids where copies > 1
        union
        select interaction_id from raw_gws.moved_interactions semi join ids using (interaction_id);

        delete from raw_gws.interaction_versions as old
        using ids where ids.interaction_id = old.interaction_id and old.is_beside;

        delete from raw_gws.interaction_attributes as old
        using ids where ids.interaction_id = old.interaction_id;

        delete from raw_gws.interactions as old
        using ids where ids.interaction_id = old.interaction_id;

        insert into raw_gws.interactions by name
        select {columns} from incoming anti join several using (interaction_id);

        insert into raw_gws.interaction_attributes by name
        select interaction_id, unnest(attributes, max_depth := 2)
        from incoming anti join several using (interaction_id);
    """)
    found = connection.execute("select count(*) from several").fetchone()
    shares = 1 + (found[0] if found else 0) // FOLDED_AT_ONCE
    for share in range(shares):
        connection.execute(f"""
            create or replace temp table copies as
            from (from incoming {beside}) semi join (
                from several where hash(interaction_id) % {shares} = {share}
            ) as due using (interaction_id);

            create or replace temp table chosen as {winners(_COPIES, "interaction_id")};
            create or replace temp table best as {folded(_COPIES, "chosen")};
            drop table chosen;

            insert into raw_gws.interactions by name select {columns} from best;
        """)
        _write_those_beside(connection)
        _write_attributes(connection)
        connection.execute("drop table best; drop table copies;")
    connection.execute("drop table several")


_COPIES = "(select *, rowid as copy_id from copies)"


def _days_of_moved(
    connection: duckdb.DuckDBPyConnection, layout: Layout, incoming: set[Path]
) -> list[Path]:
    """Notes which incoming interactions were seen on several days; returns the others' files."""
    connection.execute("""
        create or replace temp table sighted_days as
        select distinct interaction_id, window_date from incoming
        union
        select old.interaction_id, old.window_date
        from raw_gws.interactions as old
        semi join ids on ids.interaction_id = old.interaction_id;

        insert into raw_gws.moved_interactions
        from sighted_days
        semi join (
            select interaction_id from sighted_days group by all having count(*) > 1
        ) as several using (interaction_id)
        anti join raw_gws.moved_interactions using (interaction_id, window_date);
    """)
    rows = connection.execute("""
        select distinct window_date from raw_gws.moved_interactions
        semi join ids using (interaction_id)
    """).fetchall()
    connection.execute("drop table sighted_days")
    found = (layout.day(row[0]) for row in rows)
    return sorted(path for path in found if path not in incoming and path.exists())


def _write_those_beside(connection: duckdb.DuckDBPyConnection) -> None:
    """Copies that said something else before the winner was seen: those of other days, and those
    that were asked for other names. A fold of one day's file does not supersede them."""
    connection.execute(f"""
        insert into raw_gws.interaction_versions by name
        select {_version_columns(connection, "lost")}, won.unchanged_since as superseded_at,
            true as is_beside
        from copies as lost
        join best as won using (interaction_id)
        where lost.unchanged_since < won.unchanged_since
            and {content("lost.{}".format)} <> {content("won.{}".format)};
    """)


def load_versions(connection: duckdb.DuckDBPyConnection, files_: list[Path]) -> None:
    """A version file holds all versions of its day: it replaces what was loaded of it."""
    if not files_:
        return
    days = [[date.fromisoformat(path.stem)] for path in files_]
    connection.executemany(
        "delete from raw_gws.interaction_versions where window_date = ? and not is_beside", days
    )
    connection.execute(f"""
        insert into raw_gws.interaction_versions by name
        select {_version_columns(connection, "held")}, held.superseded_at, false as is_beside
        from read_parquet({paths(files_)}) as held
    """)


def _version_columns(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    described = connection.execute("describe raw_gws.interaction_versions").fetchall()
    return ", ".join(
        f"{relation}.{row[0]}" for row in described if row[0] not in ("superseded_at", "is_beside")
    )


def _write_attributes(connection: duckdb.DuckDBPyConnection) -> None:
    """Of several copies, each name's value comes from the best one whose request asked for the name
    (or that has it): a name that was asked for and is absent there is gone; one not asked for
    stays."""
    connection.execute("""
        insert into raw_gws.interaction_attributes by name
        with spoken as (
            select
                interaction_id, attributes, asked,
                {
                    'ended': ended_at is not null, 'run': run_at, 'main': source = 'main',
                    'own': is_own, 'seen': observed_at
                } as standing
            from copies
        ),
        said as (
            select interaction_id, standing, item.name as name, item.value as value,
                item.value_type as value_type, true as is_present
            from spoken, unnest(attributes) as listed(item)
            union all
            select interaction_id, standing, name, null, null, false
            from spoken, unnest(from_json(asked, '["varchar"]')) as names(name)
        ),
        told as (
            select interaction_id, name,
                arg_max(
                    {'value': value, 'value_type': value_type, 'is_present': is_present},
                    {'standing': standing, 'is_present': is_present, 'value': value,
                     'value_type': value_type}
                ) as said
            from said group by all
        )
        select interaction_id, name, said.value as value, said.value_type as value_type
        from told where said.is_present;
    """)
