"""One analyst's process: reads the published file again and again, until its input ends,
`pause` seconds apart.

It opens the file anew each time, or holds it open (`hold`): then it must stay what it was. Every
load of the scene gives all interactions and their attributes one and the same number, so a read
that sees two numbers is torn. Prints what it saw as JSON.
"""

from __future__ import annotations

import contextlib
import json
import select
import sys
from collections.abc import Iterator

import duckdb

_QUERY = """
    select
        (select list(distinct state order by state) from raw_gws.interactions) as of_interactions,
        (select list(distinct value order by value) from raw_gws.interaction_attributes)
            as of_attributes,
        (select count(*) from raw_gws.interactions) as interactions,
        (select loads = modelled from raw_gws.load_state) as is_whole
"""


@contextlib.contextmanager
def opened(path: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(path, read_only=True, config={"threads": 1}) as connection:
        yield connection


def main(path: str, interactions: int, pause: float, hold: bool) -> None:
    reads, torn, errors, seen = 0, 0, [], []
    with opened(path) if hold else contextlib.nullcontext() as held:
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], pause)[0] and len(errors) < 5:
            try:
                with contextlib.nullcontext(held) if held else opened(path) as connection:
                    states, values, count, is_whole = connection.execute(_QUERY).fetchone()
            except duckdb.Error as exc:
                errors.append(str(exc))
                continue
            reads += 1
            torn += len(states) != 1 or states != values or count != interactions or not is_whole
            seen += [state for state in states if state not in seen[-1:]]
    print(json.dumps({"reads": reads, "torn": torn, "errors": errors, "seen": seen}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4] == "hold")
