"""``python -m bench.streams``: large files up and down at once, and the memory that takes.

Eight uploads of 1 GiB beside eight downloads of 1 GiB, against a demo of its own. Its resident
memory must stay under 200 MiB. Exits 1 when it does not, or when a request fails.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from bench.client import Source, download, upload
from bench.plan import MIB
from bench.process import stop_by_sigterm
from bench.servers import known_servers

LIMIT = 200 * MIB


@click.command()
@click.option("--streams", default=8, show_default=True, type=click.IntRange(1), help="Each way.")
@click.option("--large", default=1024, show_default=True, type=click.IntRange(1), help="MiB each.")
@click.option(
    "--disk",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Keep the files below this folder instead of in memory (/dev/shm, a GiB for each upload).",
)
def main(streams: int, large: int, disk: Path | None) -> None:
    """Measure peak memory while large files go up and down at once."""
    stop_by_sigterm()
    (bridge,) = (server for server in known_servers() if server.name == "bridge")
    source, size = Source(16 * MIB), large * MIB
    with tempfile.TemporaryDirectory(
        prefix="bench-", dir=disk or "/dev/shm", ignore_cleanup_errors=True
    ) as place:
        running = bridge.start(Path(place))
        with running.process, ThreadPoolExecutor(2 * streams) as pool:
            target = running.target
            upload(target, "/down.bin", source, size)
            running.process.reset_peak()
            start = time.perf_counter()
            up = [
                pool.submit(upload, target, f"/up-{number}.bin", source, size)
                for number in range(streams)
            ]
            down = [
                pool.submit(download, target, "/down.bin", source, size, verify=False)
                for _ in range(streams)
            ]
            for transfer in up + down:
                transfer.result()
            took = time.perf_counter() - start
            peak = running.process.peak_bytes()
    met = peak < LIMIT
    print(f"{streams} uploads and {streams} downloads of {large} MiB at once: {took:.1f} s,")
    print(f"{2 * streams * size / 1e6 / took:.0f} MB/s in all, peak memory {peak / MIB:.0f} MiB")
    print(f"under {LIMIT // MIB} MiB: {'met' if met else 'MISSED'}")
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
