"""An independent Genesys Web Services: a server to try the pipeline against.

Knows the documented API and CometD 3 from the outside. Imports nothing of the pipeline, so
that client and server cannot share one misreading.

    async with Simulator(World(seed=7), Behaviour(latency_ms=(5, 20))).serve() as server:
        server.url, server.stats.snapshot()

`World` is the truth: `contacts()`, and `records(contact_id, source)` with each record's
`started_at`, `payload` and `readable`.

`Behaviour` holds the switches; `SwitchedFaults(behaviour)` is what follows them, and can be
asked what it will do: `contact_known(contact_id)`, `always_fails(contact_id)`. A policy of
one's own is a `Faults`. `ChangingRoster(world.size, behaviour)` tells which contacts come into
the list, leave it, and are `steady`. `Changes(world, behaviour, wall)` is the world as it is told
at a time: `history(index)`, and when an interaction ends late, or is another contact's. `stats`
counts what was seen, and each fault injected.
"""

from history_pipeline.simulator.behaviour import Behaviour
from history_pipeline.simulator.changes import Changes
from history_pipeline.simulator.faults import (
    Call,
    Delivery,
    Faults,
    HistoryCall,
    Interference,
    Spoiled,
)
from history_pipeline.simulator.faults_switched import SwitchedFaults
from history_pipeline.simulator.records import DEFECTS, Record
from history_pipeline.simulator.roster import ChangingRoster
from history_pipeline.simulator.server import RunningSimulator, Simulator
from history_pipeline.simulator.world import ARCHIVE, MAIN, World, WorldContact

__all__ = [
    "ARCHIVE",
    "DEFECTS",
    "MAIN",
    "Behaviour",
    "Call",
    "Changes",
    "ChangingRoster",
    "Delivery",
    "Faults",
    "HistoryCall",
    "Interference",
    "Record",
    "RunningSimulator",
    "Simulator",
    "Spoiled",
    "SwitchedFaults",
    "World",
    "WorldContact",
]
