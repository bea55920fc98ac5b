"""A server, and data directories at several stages of a run on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from history_pipeline.history import extraction
from history_pipeline_tests.end_to_end.place import DAYS, PACED, PLANNED, SPAN, Place, copied
from history_pipeline_tests.end_to_end.running import simulator


@pytest.fixture(scope="session")
def paced_server() -> Iterator[str]:
    with simulator(SPAN) as running:
        yield running


@pytest.fixture(scope="session")
def broken_off(paced_server: str, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run that was broken off after some parts."""
    place = Place(paced_server, tmp_path_factory.mktemp("broken_off") / "data")
    settings = place.settings(**PACED)
    attempt = place.opened(settings)

    async def ask_for_a_while() -> None:
        asking = asyncio.create_task(
            extraction.extract(settings, place.layout, DAYS, run_id=attempt.run_id)
        )
        while not list(place.layout.attempts.glob("*/parts/*/part-*/rejects.parquet")):
            assert not asking.done()
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait({asking})

    asyncio.run(ask_for_a_while())
    assert 0 < place.put_down() < PLANNED
    return place


@pytest.fixture(scope="session")
def in_the_lake(broken_off: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run whose window is in the lake, and not yet loaded."""
    place = copied(broken_off, tmp_path_factory.mktemp("in_the_lake"))
    place.asked()
    return place


@pytest.fixture(scope="session")
def loaded(in_the_lake: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = copied(in_the_lake, tmp_path_factory.mktemp("loaded"))
    assert place.go_on() == 0
    return place
