"""``python -m bench.state``: what the state takes on SQLite and on PostgreSQL, side by side.

PostgreSQL is started here and reached by its socket. Both keep what they have on ``--disk`` and
sync it, or in memory. Each figure is the least, median and most of the rounds' medians.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from bridge.state.api import LeaseName, Touch
from bridge.state.database import DatabaseState, open_state
from tests.postgres import PostgreSQL

PAIRS = 400
READS = 1000
THREADS = 16

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


@contextmanager
def databases(place: Path, *, sync: bool) -> Iterator[dict[str, str]]:
    """The same for both: where each is."""
    folder = place / "postgresql"
    folder.mkdir()
    with (place / "log").open("wb") as log:
        server = PostgreSQL(folder, log, DURABLE if sync else None)
        try:
            place.chmod(0o711)
            server.start()
            yield {"SQLite": str(place / "state.db"), "PostgreSQL": server.url}
        finally:
            server.stop()


def pairs(state: DatabaseState, times: int) -> list[float]:
    """Seconds of each ``acquire`` and ``finish`` of a lease, in a folder of the caller's own."""
    tree = state.tree("bench")
    folder = os.urandom(16)
    took = []
    for number in range(times):
        start = time.perf_counter()
        name = LeaseName(folder, number.to_bytes(4, "big"))
        with tree.acquire([name], [Touch(folder, links=False)], wait=10) as lease:
            lease.finish()
        took.append(time.perf_counter() - start)
    return took


def reads(state: DatabaseState) -> list[float]:
    """Seconds of each ``read`` of three directories."""
    tree = state.tree("bench")
    folders = [os.urandom(16) for _ in range(3)]
    took = []
    for _ in range(READS):
        start = time.perf_counter()
        tree.read(folders)
        took.append(time.perf_counter() - start)
    return took


def together(state: DatabaseState) -> float:
    """Pairs a second of ``THREADS`` threads."""
    threads = [threading.Thread(target=pairs, args=(state, PAIRS // 4)) for _ in range(THREADS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THREADS * (PAIRS // 4) / (time.perf_counter() - start)


def told(values: list[float]) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{low:,.0f}-{middle:,.0f}-{high:,.0f}"


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option(
    "--disk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Keep it below this folder, synced, instead of in memory (/dev/shm).",
)
def main(rounds: int, disk: Path | None) -> None:
    """Print the table of the decision record."""
    print("| | pair, us | read, us | any lock, us | pairs a second, 16 threads |")
    print("|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=disk or "/dev/shm") as place,
        databases(Path(place), sync=disk is not None) as found,
    ):
        for name, url in found.items():
            with open_state(url) as state:
                pairs(state, PAIRS)  # prepared statements, warm caches
                measured = [
                    (
                        median(lambda: pairs(state, PAIRS)),
                        median(lambda: reads(state)),
                        median(lambda: locks(state)),
                        together(state),
                    )
                    for _ in range(rounds)
                ]
            cells = [told(list(column)) for column in zip(*measured, strict=True)]
            print(f"| {name} | {' | '.join(cells)} |")


def locks(state: DatabaseState) -> list[float]:
    """Seconds of each question whether there is any lock."""
    asked = state.locks("bench")
    took = []
    for _ in range(READS):
        start = time.perf_counter()
        asked.any()
        took.append(time.perf_counter() - start)
    return took


def median(measure: Callable[[], list[float]]) -> float:
    """In microseconds."""
    return statistics.median(measure()) * 1e6


if __name__ == "__main__":
    main()
