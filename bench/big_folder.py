"""``python -m bench.big_folder``: rename and delete folders of 10 and of 10,000 files.

Over WebDAV, against a demo of its own. Either must take less than 50 ms, whatever the folder
holds, and the reaper must then free the space. Exits 1 when one does not.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from bench.client import simple
from bench.many import put_many
from bench.process import stop_by_sigterm
from bench.report import spread
from bench.servers import Running, known_servers

LIMIT_MS = 50.0
REAP_LIMIT = 300.0
CONTENT = 4096


class Times(NamedTuple):
    """Milliseconds of each rename and each delete of folders of one size."""

    renames: list[float]
    deletes: list[float]


@click.command()
@click.option("--files", default=10_000, show_default=True, type=click.IntRange(11))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--renames", default=10, show_default=True, help="Of each folder before its end.")
@click.option(
    "--disk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Keep the files below this folder instead of in memory (/dev/shm).",
)
def main(files: int, rounds: int, renames: int, disk: Path | None) -> None:
    """Rename and delete a small and a large folder in turn."""
    stop_by_sigterm()
    (bridge,) = (server for server in known_servers() if server.name == "bridge")
    sizes = (10, files)
    times = {size: Times([], []) for size in sizes}
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir=disk or "/dev/shm", ignore_cleanup_errors=True
    ) as place:
        running = bridge.start(Path(place))
        with running.process:
            empty = _objects(Path(place))
            for number in range(rounds):
                for size in sizes:
                    _one_folder(running, f"/folder-{number}-{size}", size, renames, times[size])
            for size, (moved, gone) in times.items():
                took = f"rename {spread(moved, 1)} ms, delete {spread(gone, 1)} ms"
                print(f"{size:>6} files: {took}", flush=True)
            reaped = _wait_until_reaped(Path(place), empty)
    medians = [statistics.median(values) for pair in times.values() for values in pair]
    met = max(medians) < LIMIT_MS
    print(f"every median under {LIMIT_MS:.0f} ms: {'met' if met else 'MISSED'}")
    print("content gone from disk: " + ("NOT GONE" if reaped is None else f"after {reaped:.1f} s"))
    sys.exit(0 if met and reaped is not None else 1)


def _one_folder(running: Running, path: str, size: int, renames: int, times: Times) -> None:
    target = running.target
    simple(target, "MKCOL", path)
    put_many(target, path, size, CONTENT, 16)
    here = path
    for number in range(renames):
        there = f"{path}-{number}"
        destination = f"http://{target.host}:{target.port}{target.base}{there}"
        times.renames.append(
            simple(target, "MOVE", here, {"Destination": destination}).seconds * 1e3
        )
        here = there
    times.deletes.append(simple(target, "DELETE", here).seconds * 1e3)


def _objects(place: Path) -> int:
    """How many files of at least one block of content the data folder holds.

    The reaper may be at work: a folder or file that goes while it is looked at does not count.
    """
    count = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(FileNotFoundError):
                count += Path(folder, name).stat().st_size >= CONTENT
    return count


def _wait_until_reaped(place: Path, empty: int) -> float | None:
    """Seconds until no content is left in the store, or None when some stays."""
    start = time.monotonic()
    while (waited := time.monotonic() - start) < REAP_LIMIT:
        # Files of the state database may have grown past a block; they are a handful.
        if _objects(place) <= empty + 10:
            return waited
        time.sleep(0.5)
    return None


if __name__ == "__main__":
    main()
