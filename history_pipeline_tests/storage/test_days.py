"""However many days are folded together, their files are those that SQL alone folds."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from history_pipeline.storage import database, days, splitting
from history_pipeline.storage.layout import Layout
from history_pipeline_tests.families import mostly_slow
from history_pipeline_tests.storage.lake import MAY, NOON, Lake, Row, observation

APART = -1
"""No day is held whole: each is folded by itself, every row of it in SQL."""

SIZES = [3_000, days.TOGETHER_BYTES]


def drawn(dice: random.Random, run: int) -> list[Row]:
    """Some interactions of three days, old ones among them, in one or several copies."""

    def one() -> Row:
        asked = dice.choice([(), ("X",), ("X", "Y")])
        moment = NOON + timedelta(days=run, minutes=dice.randrange(3))
        some: dict[str, Any] = {
            "contact_id": dice.choice(["c1", "c1", "c2", None]),
            "contact_seen_at": dice.choice([moment, moment, None]),
            "unchanged_since": dice.choice([moment, moment, None]),
            "first_seen_at": moment,
            "last_seen_at": moment,
            "observed_at": moment,
            "ended_at": dice.choice([None, NOON]),
            "subject": f"{dice.randrange(3)}",
            "source": dice.choice(["main", "archive"]),
            "asked": asked,
            "attributes": {name: f"{run}" for name in asked if dice.random() < 0.6},
        }
        name = f"i{dice.randrange(40)}"
        return observation(
            name, run=run, window_date=MAY.start + timedelta(days=dice.randrange(3)), **some
        )

    return [one() for _ in range(dice.randrange(60))]


def files_of(lake: Lake) -> dict[str, list[str]]:
    """The rows of every day and version file."""
    paths = [*lake.layout.day_files(), *lake.layout.version_files()]
    return {
        str(path.relative_to(lake.layout.lake)): sorted(map(repr, pq.read_table(path).to_pylist()))
        for path in paths
    }


@pytest.mark.parametrize("seed", mostly_slow(range(3)))
@pytest.mark.parametrize(
    ("rows_at_once", "held"), mostly_slow([(50_000, splitting.HELD_BYTES), (3, 2_000)])
)
def test_days_folded_together_are_those_folded_apart(
    tmp_path: Path, seed: int, rows_at_once: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ROWS_AT_ONCE", rows_at_once)
    monkeypatch.setattr(splitting, "HELD_BYTES", held)
    dice = random.Random(seed)
    lakes = {size: Lake(Layout(tmp_path / f"of {size}")) for size in [APART, *SIZES]}
    versions = 0
    for run in range(3):
        rows = drawn(dice, run)
        for size, lake in lakes.items():
            monkeypatch.setattr(days, "TOGETHER_BYTES", size)
            lake.run(rows, run=run)
        wanted = files_of(lakes[APART])
        for size in SIZES:
            assert files_of(lakes[size]) == wanted, size
        versions = len(lakes[APART].layout.version_files())
    assert versions, "nothing was ever superseded: the comparison tells less than it should"
